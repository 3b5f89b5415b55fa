import json
import resource
import sys

resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
fault = {}
try:
    compile(sys.stdin.buffer.read(), "script.py", "exec", dont_inherit=True)
except SyntaxError as e:
    kind = "" if type(e) is SyntaxError else type(e).__name__ + ": "
    text = (e.text or "").rstrip()
    left = len(text) - len(text.lstrip())
    caret = " " * max(0, (e.offset or 1) - 1 - left) + "^"
    shown = '  File "script.py", line %d\n    %s\n    %s\n' % (e.lineno or 0, text.strip()[:400], caret[:401])
    fault = {"message": kind + e.msg, "line": e.lineno or 0, "shown": shown if text else ""}
except ValueError as e:  # a NUL byte, before 3.12
    fault = {"message": str(e), "line": 0, "shown": ""}
except (RecursionError, MemoryError):
    fault = {"message": "it is nested too deeply for Python's compiler", "line": 0, "shown": ""}
json.dump(fault, sys.stdout)
