"""Builds the error of an answer.

An error is the handler's own, or the script's exception. "ours" in the answer
tells which, because a class of the script's may have any name."""

from scriptfleet_own import builtins as __builtins__, is_a, live_os, live_sys, os, sys, type_name
from scriptfleet_stacks import PATH, SCRIPT, short

MAX_TRACEBACK = 16 << 10
MAX_MESSAGE = 4 << 10
MAX_FRAMES = 50  # of a traceback that the traceback module cannot format
LIBRARY = live_os.path.dirname(live_os.__file__) + "/"


class Failure(Exception):
    """An error of the handler's own, with its type and message."""

    def __init__(self, kind, message):
        Exception.__init__(self, message)
        self.kind = kind


def describe(e, phase):
    """An exception as a field of the answer. Its attributes are read without
    calling code of the script's classes."""
    tb = BaseException.__traceback__.__get__(e)
    error = {"type": as_text(type_name(e))[:200] or "Exception", "message": told(e), "traceback": "", "phase": phase,
             "line": 0, "ours": True}
    if type(e) is Failure:
        error["type"] = e.kind
        return error
    for step in (lambda: error.update(line=line_of(tb)), lambda: error.update(traceback=trace_of(e, tb)),
                 lambda: error.update(clues(e, tb))):
        try:
            step()
        except BaseException:
            pass  # no memory left, or an exception that cannot be shown
    if phase == "import" and is_a(e, SyntaxError) and error["line"] == 0 and error.get("file") == "script.py":
        error.update(type="SyntaxError", line=SyntaxError.lineno.__get__(e) or 0, message=fault_of(e))
    elif is_a(e, SystemExit):
        error.update(type="SystemExit", message="The script ended itself with exit(%s) before main returned: "
                     "return from main instead." % told(SystemExit.code.__get__(e), repr))
    elif is_a(e, MemoryError):
        error["type"] = "MemoryError"
    else:
        error["ours"] = False
    return error


def fault_of(e):
    message = told(SyntaxError.msg.__get__(e))
    return message if type(e) is SyntaxError else "%s: %s" % (type_name(e), message)


def clues(e, tb):
    """The facts by which a hint is chosen, such as file and module."""
    file = None
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        tb = tb.tb_next
    found = {}
    if is_a(e, SyntaxError):
        file = SyntaxError.filename.__get__(e)
    elif is_a(e, ModuleNotFoundError):
        found["module"] = told(ImportError.name.__get__(e))
        found["loaded"] = found["module"].split(".")[0] in live_sys.modules
    elif is_a(e, OSError):
        found["errno"] = OSError.errno.__get__(e)
        name = OSError.filename.__get__(e)
        found["path"] = told(name) if is_a(name, str) else ""
        if not is_a(found["errno"], int):
            found["errno"] = 0
    if is_a(file, str):
        found["file"] = short(file)
        top = found["file"].split("/")[0]
        found["shadows"] = not file.startswith(LIBRARY) and file != SCRIPT and part_of_python(top)
    if is_a(e, ImportError, AttributeError, SyntaxError):
        found["minor"] = "%d.%d" % sys.version_info[:2]
    if "exceptions" in dir(BaseException) or hasattr(type(e), "exceptions"):
        found["first"] = first_of(e)
    return found


def part_of_python(top):
    return live_os.path.exists(LIBRARY + top) or top in sys.builtin_module_names


def first_of(group):
    """The first exception in a group that is no group itself."""
    for _ in range(50):
        inner = getattr(group, "exceptions", None)
        if not is_a(inner, tuple) or not inner:
            break
        group = inner[0]
    text = told(group)
    return type_name(group) + (": " + text if text else "")


def told(value, how=str):
    """str or repr of a value, shortened, also if that raises."""
    try:
        text = how(value)
        return without_folders(as_text(text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + " …"))
    except BaseException:
        return "(a %s that cannot be shown)" % as_text(type_name(value))


def as_text(text):
    """The text with unpaired surrogates escaped: no runtime can send those."""
    return str.encode(str.__str__(text), "utf-8", "backslashreplace").decode("utf-8")


def without_folders(text):
    """The text without the paths of the function's and Python's folders."""
    for folder in PATH:
        if folder in text:
            text = text.replace(folder, "")
    return text


def line_of(tb):
    """The innermost line of the script itself."""
    line = 0
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == SCRIPT:
            line = tb.tb_lineno
        tb = tb.tb_next
    return line


def trace_of(e, tb):
    try:
        import traceback
        trace = traceback.TracebackException(type(e), e, tb)
        trim(trace, 0)
        text = as_text("".join(trace.format()))
    except MemoryError:
        raise
    except BaseException:
        text = plain_trace(e, tb)
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2 - 20
        text = text[:half] + "\n  …\n" + text[-half:]
    return without_folders(text)


def plain_trace(e, tb):
    """A traceback that uses neither the traceback module, which the script may have
    broken, nor the exception's own methods."""
    lines, begun = [], False
    while tb is not None:
        code = tb.tb_frame.f_code
        begun = begun or code.co_filename == SCRIPT
        if begun:
            lines.append('  File "%s", line %d, in %s\n' % (short(code.co_filename), tb.tb_lineno, code.co_name))
        tb = tb.tb_next
    return as_text("Traceback (most recent call last):\n%s%s: %s\n" % ("".join(lines[-MAX_FRAMES:]), type_name(e), told(e)))


def trim(trace, depth):
    """Cuts the whole chain to the script's frames and those that they called."""
    if trace is None or depth > 50:
        return
    frames = list(trace.stack)
    while frames and frames[0].filename != SCRIPT:
        frames.pop(0)
    for frame in frames:
        frame.filename = short(frame.filename)
    trace.stack[:] = [frame for frame in frames if not frame.filename.startswith("scriptfleet_")]
    if getattr(trace, "filename", None):
        trace.filename = short(trace.filename)
    trim(trace.__cause__, depth + 1)
    trim(trace.__context__, depth + 1)
    for inner in getattr(trace, "exceptions", None) or ():
        trim(inner, depth + 1)
