"""The stacks of a script's threads, coroutines and greenlets, as lists of [file,
line, function], innermost last. A stack belongs to the script if it has a frame
of the script; it is cut to begin with that frame."""

from scriptfleet_own import builtins as __builtins__, gc, live_sys, os, sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(FOLDER, "script.py")
HANDLER = os.path.join(FOLDER, "scriptfleet_")  # how the handler's own files begin
PATH = sorted((p + "/" for p in live_sys.path if p.startswith("/")), key=len, reverse=True)  # before the script is imported
STACKS, FRAMES, FRAMES_BESIDE = 5, 5, 2


async def nothing():
    pass

unused = nothing()
Coroutine = type(unused)
unused.close()


def short(filename):
    """A file's name without the folder of the function or of Python."""
    for folder in PATH:
        if filename.startswith(folder):
            return filename[len(folder):][-120:]
    return filename[-120:]


def told(frames, most=FRAMES):
    """The script's frames and those that they called, at most so many of each; empty
    if the stack has none of the script's."""
    own = [n for n, frame in enumerate(frames) if frame.f_code.co_filename == SCRIPT]
    if not own:
        return []
    last = own[-1] + 1
    frames = frames[max(own[0], last - most):last] + frames[last:][-most:]
    return [[short(f.f_code.co_filename), f.f_lineno, f.f_code.co_name[:80]] for f in frames]


def stack_of(frame, coroutine=None):
    """The stack of main, or of the coroutine that main returned."""
    while frame is not None and frame.f_code.co_filename.startswith(HANDLER):
        frame = frame.f_back  # main is in alarm()
    return told(frames_of(frame)) or (told(awaiting(coroutine)) if coroutine is not None else [])


def awaiting(awaitable):
    """The frames of a waiting coroutine, and of those for which it waits."""
    frames = []
    for _ in range(1000):
        frame = getattr(awaitable, "cr_frame", None) or getattr(awaitable, "gi_frame", None)
        if frame is None:
            break
        frames.append(frame)
        awaitable = getattr(awaitable, "cr_await", None) or getattr(awaitable, "gi_yieldfrom", None)
    return frames


def stacks_beside(main_thread, coroutine):
    """All stacks except main's, as [kind, number of equal stacks, stack]."""
    found = [("thread", told(frames_of(frame), FRAMES_BESIDE))
             for ident, frame in sys._current_frames().items() if ident != main_thread]
    if "asyncio" in live_sys.modules or "trio" in live_sys.modules or "greenlet" in live_sys.modules:
        found += suspended(coroutine)
    counts = {}
    for what, stack in found:
        if stack:
            key = what, tuple(map(tuple, stack))
            counts[key] = counts.get(key, 0) + 1
    beside = sorted(counts.items(), key=lambda item: -item[1])[:STACKS]
    return [[what, count, [list(frame) for frame in stack]] for (what, stack), count in beside]


def frames_of(frame):
    """The frames from the outermost, or from the handler's callee, to the innermost."""
    frames = []
    while frame is not None and not frame.f_code.co_filename.startswith(HANDLER):
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def suspended(coroutine):
    """The coroutines of all event loops that no other coroutine awaits, except main's,
    and the greenlets."""
    greenlet = getattr(live_sys.modules.get("greenlet"), "greenlet", ())
    coroutines, greenlets = [], []
    for o in gc.get_objects():
        if type(o) is Coroutine:
            coroutines.append(o)
        elif greenlet and type.__subclasscheck__(greenlet, type(o)):
            greenlets.append(o)
    inner = {id(c.cr_await) for c in coroutines} | {id(coroutine)}
    found = [("coroutine", told(awaiting(c), FRAMES_BESIDE)) for c in coroutines if id(c) not in inner and not c.cr_running]
    return found + [("greenlet", told(frames_of(g.gr_frame), FRAMES_BESIDE)) for g in greenlets]
