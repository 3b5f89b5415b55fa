"""Compiles the sources on standard input: a line with their lengths, then one
after the other. Answers in the same form, for each with the cache tag, a line
break and a .pyc, or with a JSON object with the error and its line."""
import sys

sys.path[:1] = []  # the working folder
import marshal
import resource
from _frozen_importlib_external import MAGIC_NUMBER

resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (5, 5))


def answer(source):
    try:
        code = compile(source, "script.py", "exec", dont_inherit=True)
        # Flags 1, and no hash: Python does not check it against the source.
        return sys.implementation.cache_tag.encode() + b"\n" + MAGIC_NUMBER + b"\1\0\0\0" + bytes(8) + marshal.dumps(code)
    except SyntaxError as e:
        kind = "" if type(e) is SyntaxError else type(e).__name__ + ": "
        text = (e.text or "").rstrip()
        left = len(text) - len(text.lstrip())
        caret = " " * max(0, (e.offset or 1) - 1 - left) + "^"
        shown = '  File "script.py", line %d\n    %s\n    %s\n' % (e.lineno or 0, text.strip()[:400], caret[:401])
        fault = {"fault": kind + e.msg, "line": e.lineno or 0, "shown": shown if text else ""}
    except ValueError as e:  # a NUL byte, before 3.12
        fault = {"fault": str(e), "line": 0, "shown": ""}
    except (RecursionError, MemoryError):
        fault = {"fault": "it is nested too deeply for Python's compiler", "line": 0, "shown": ""}
    import json
    return json.dumps(fault).encode()


sources = sys.stdin.buffer
answers = [answer(sources.read(int(length))) for length in sources.readline().split()]
sys.stdout.buffer.write(b" ".join(b"%d" % len(a) for a in answers) + b"\n" + b"".join(answers))
