"""The handler of every function that scriptfleet makes, on Lambda and on the
embedded stack alike.

A function's folder holds this file and the author's script: script.py, which
defines main(input), or script.sh. The script is imported while the process
starts, so that a warm run pays for main alone; what goes wrong then is told in
the answers, in the same form as what goes wrong in main.

What must hold:
  - The output is exactly what main returned, or there is an error that says
    which part of it JSON cannot express.
  - Whatever is written to the descriptors 1 and 2, by Python or by a child, is
    drained all the time, so nobody blocks on it, and only its beginning and its
    last 2 KB are kept.
  - Shortly before the time is up, what was printed last and where main stood go
    to the real stdout as one line ("last words"), since of a process that is
    killed only the end of its log arrives. Three ways lead there, for main may
    loop in C: a signal handler, the watching thread (if main lets go of the
    interpreter), and faulthandler (if it does not: then without what it
    printed).

Between two runs in one process the environment variables, the working folder,
sys.stdout and sys.stderr are put back. Modules, globals, threads, child
processes and files are the script's own and stay, as on Lambda.

Only the standard library, Python 3.8 and later, and quick to import: what only
errors, coroutines or commands need is imported when they do.
"""

import faulthandler
import json
import os
import select
import signal
import sys
import time
import _thread

HANDLER = (lambda: 0).__code__.co_filename
FOLDER = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(FOLDER, "script.py")
COMMANDS = os.path.join(FOLDER, "script.sh")

MAX_OUTPUT = 5900000  # of Lambda's 6 MB for a whole answer
MAX_ANSWER = 6200000
MAX_TRACEBACK = 16 << 10
MAX_MESSAGE = 4 << 10
LOG_BYTES = 64 << 10
TAIL_BYTES = 2 << 10
LAST_WORDS = "SCRIPTFLEET-LAST-WORDS "
LAST_WORDS_BYTES = 3000  # the log's end is 4 KB, with Lambda's own lines in it
SOFT_SECONDS = 0.4  # last words come this long before the end, faulthandler's half as long

dumps, loads, monotonic = json.dumps, json.loads, time.monotonic
exit_process = os._exit
process = os.getpid()
main_thread = _thread.get_ident()


class Failure(Exception):
    """A failure with a type and a message of ours, not of the script's."""

    def __init__(self, kind, message):
        Exception.__init__(self, message)
        self.kind = kind


# ------------------------------------------------------------------ capturing

class Stream:
    """What is written to one descriptor: the first `limit` bytes, the last
    TAIL_BYTES, and how many there were."""

    def __init__(self, fd, name):
        self.fd, self.name = fd, name
        self.real = os.dup(fd)
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.buffer = bytearray(65536)
        self.text = None
        self.clear()
        self.take_over(LOG_BYTES)

    def take_over(self, limit):
        """Points the descriptor and the sys stream at the pipe, whatever the
        last run did to them."""
        self.limit = limit
        os.dup2(self.write_end, self.fd)
        if self.text is None or self.text.closed:
            self.text = open(self.fd, "w", buffering=1, closefd=False,
                             encoding="utf-8", errors="backslashreplace")
        setattr(sys, self.name, self.text)

    def clear(self):
        self.head, self.tail, self.total = bytearray(), b"", 0

    def drain(self):
        """Takes what lies in the pipe; the caller holds the lock. A pipe holds
        64 KB, so four reads get all that was there before the call, and a child
        that never stops writing cannot keep us here."""
        for _ in range(4):
            try:
                n = os.readv(self.read_end, [self.buffer])
            except (BlockingIOError, InterruptedError):
                return
            self.total += n
            room = self.limit - len(self.head)
            if room > 0:
                self.head += self.buffer[:min(n, room)]
            self.tail = (self.tail + self.buffer[max(0, n - TAIL_BYTES):n])[-TAIL_BYTES:]

    def flush(self):
        for stream in (self.text, getattr(sys, self.name, None)):
            try:
                stream.flush()
            except Exception:  # closed, or the script's own object
                pass

    def told(self, limit):
        """The beginning as text, and whether that is not all."""
        data = bytes(self.head[:limit])
        cut = self.total > len(data)
        text = data.decode("utf-8", "replace")
        if cut:
            text = text.rstrip("\ufffd")  # half a character
        return text, cut


class Run:
    """What the watchers know of the run under way."""

    def __init__(self, request=""):
        self.request = request
        self.soft_end = None
        self.spoke = False


lock = _thread.allocate_lock()
run = Run()


def watch(wake):
    """Drains the pipes for as long as the process lives, and speaks the last
    words when the alarm rings while main keeps Python's signal handlers from
    being called."""
    poller = select.poll()
    for fd in (stdout.read_end, stderr.read_end, wake):
        poller.register(fd, select.POLLIN)
    while True:
        try:
            ready = poller.poll()
            with lock:
                stdout.drain()
                stderr.drain()
            if any(fd == wake for fd, _ in ready):
                os.read(wake, 4096)
                if run.soft_end is not None and monotonic() >= run.soft_end - 0.01:
                    last_words(sys._current_frames().get(main_thread))
        except MemoryError:
            pass  # the script's; whoever writes must not be blocked by it
        except OSError:
            return  # the script closed our descriptors


def last_words(frame, **more):
    """Writes what was printed last and where main stands to the real stdout."""
    if not lock.acquire(timeout=0.05):
        return
    try:
        if run.spoke:
            return
        run.spoke = True
        stdout.drain()
        stderr.drain()
        words = dict(more, request=run.request, stack=stack_of(frame))
        for keep in (1400, 900, 500, 200, 0):
            words["stdout"] = stdout.tail[len(stdout.tail) - min(keep, len(stdout.tail)):].decode("utf-8", "ignore")
            words["stderr"] = stderr.tail[len(stderr.tail) - min(keep, len(stderr.tail)):].decode("utf-8", "ignore")
            words["truncated"] = stdout.total > keep or stderr.total > keep
            line = dumps(words, ensure_ascii=False).encode("utf-8", "replace")
            if len(line) <= LAST_WORDS_BYTES:
                break
        os.write(stdout.real, b"\n" + LAST_WORDS.encode() + line + b"\n")
        faulthandler.cancel_dump_traceback_later()
    finally:
        lock.release()


def stack_of(frame):
    """The script's frames and those below, as [file, line, function]; the
    innermost 10."""
    while frame is not None and frame.f_code.co_filename == HANDLER:
        frame = frame.f_back  # main is in alarm()
    frames = []
    while frame is not None and frame.f_code.co_filename != HANDLER:
        frames.insert(0, frame)
        frame = frame.f_back
    while frames and frames[0].f_code.co_filename != SCRIPT:
        frames.pop(0)
    return [[short(f.f_code.co_filename), f.f_lineno, f.f_code.co_name[:80]] for f in frames[-10:]]


def short(filename):
    """A file's name without the part that says where the function lies."""
    for folder in sorted((p for p in sys.path if p), key=len, reverse=True):
        if filename.startswith(folder + "/"):
            return filename[len(folder) + 1:][-120:]
    return filename[-120:]


def alarm(signum, frame):
    if run.soft_end is not None and os.getpid() == process:
        last_words(frame)


def exit_with_words(code):
    """os._exit for the script: the answer is lost, what it printed is not."""
    if os.getpid() == process:
        last_words(sys._getframe(1), exit=code & 255 if isinstance(code, int) else None)
    exit_process(code)


def arm(context):
    """Sets the alarm and, for a main that never looks up, faulthandler."""
    try:
        left = context.get_remaining_time_in_millis() / 1000.0
    except Exception:
        return
    soft = max(left - SOFT_SECONDS, left / 2)
    run.soft_end = monotonic() + soft
    faulthandler.dump_traceback_later(soft + (left - soft) / 2, file=stdout.real)
    try:
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, soft)
    except ValueError:
        pass  # not in the main thread: faulthandler is left


def disarm():
    run.soft_end = None
    signal.setitimer(signal.ITIMER_REAL, 0)
    faulthandler.cancel_dump_traceback_later()


# -------------------------------------------------------------------- running

class Script:
    """script.py, imported once; again only if the import failed, since that may
    have been the network's fault."""

    def __init__(self):
        self.main = self.error = None
        self.fresh = True
        self.load()

    def load(self):
        self.main = self.error = None
        sys.modules.pop("script", None)
        try:
            module = __import__("script")
            self.main = getattr(module, "main", None)
            if not hasattr(module, "main"):
                raise Failure("MissingMain", "The script defines no main: it needs a function main(input).")
            if not callable(self.main):
                raise Failure("MainNotCallable", "The script's main is %s, not a function: it needs a function main(input)."
                              % a_value(self.main))
        except BaseException as e:
            self.error = describe(e, "import")

    def __call__(self, event):
        if self.error and not self.fresh:
            self.load()
        self.fresh = False
        if self.error:
            return None, self.error
        value = dict(event.get("input") or {})
        if event.get("credentials"):
            value["AwsCredentials"] = dict(event["credentials"])
        try:
            return self.call(value), None
        except BaseException as e:
            return None, describe(e, "run")

    def call(self, value):
        try:
            output = self.main(value)
        except TypeError as e:
            if e.__traceback__.tb_next is None:  # raised by the call itself
                raise Failure("MainTakesOtherArguments", "main is called as main(input), and that failed: %s." % e)
            raise
        if type(output).__name__ == "coroutine":
            import asyncio
            output = asyncio.run(output)
        return output


class Commands:
    """script.sh, run by sh -e in a folder of its own. Its input is $INPUT where
    that is under 100 KB, and the file $INPUT_FILE, which is its stdin too. Its
    standard output is the output: as JSON where it is JSON, else as a string
    without the last line breaks."""

    def __init__(self):
        import shutil
        import subprocess
        import tempfile
        self.shutil, self.subprocess, self.tempfile = shutil, subprocess, tempfile
        self.folder = tempfile.mkdtemp(prefix="scriptfleet-")
        self.path = self.shims()

    def shims(self):
        """An `aws` that this interpreter runs, since the one in the layer names
        the interpreter of the machine that built it."""
        layers = [p for p in sys.path if os.path.isdir(os.path.join(p, "awscli"))]
        shims = os.path.join(self.folder, "bin")
        os.mkdir(shims)
        if layers:
            aws = os.path.join(shims, "aws")
            with open(aws, "w") as f:
                f.write("#!/bin/sh\nPYTHONPATH='%s' exec '%s' -m awscli \"$@\"\n" % (layers[0], sys.executable))
            os.chmod(aws, 0o755)
        bins = [os.path.join(p, "bin") for p in layers]
        return os.pathsep.join([shims] + bins + [os.environ.get("PATH") or os.defpath])

    def __call__(self, event):
        work = self.tempfile.mkdtemp(prefix="run-", dir=self.folder)
        try:
            return self.execute(event, work), None
        except BaseException as e:
            return None, describe(e, "run")
        finally:
            self.shutil.rmtree(work, ignore_errors=True)

    def execute(self, event, work):
        code = self.wait(event, work)
        stderr.flush()
        settle()
        if code != 0:
            how = "exit code %d" % code if code > 0 else "signal %d" % -code
            lines = stderr.tail.decode("utf-8", "replace").strip().splitlines()[-5:]
            raise Failure("CommandFailed", "The commands ended with %s%s" % (how, ": " + "\n".join(lines) if lines else "."))
        if stdout.total > MAX_OUTPUT:
            raise too_large(stdout.total)
        text = bytes(stdout.head).decode("utf-8", "replace")
        try:
            value = loads(text)
            dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
            return value
        except (ValueError, RecursionError):
            return text.rstrip("\r\n")

    def wait(self, event, work):
        """Runs the commands; whatever they left in the background goes too."""
        value = dict(event.get("input") or {})
        credentials = event.get("credentials") or {}
        if credentials:
            value["AwsCredentials"] = {"Success": bool(credentials.get("Success"))}
        text = dumps(value)
        given = os.path.join(self.folder, os.path.basename(work) + ".json")
        with open(given, "w+") as stdin:
            stdin.write(text)
            stdin.seek(0)
            env = self.environment(credentials, event.get("region"), work)
            env["INPUT_FILE"] = given
            if len(text) < 100000:
                env["INPUT"] = text
            child = self.subprocess.Popen(["/bin/sh", "-e", COMMANDS], cwd=work, env=env, stdin=stdin,
                                          start_new_session=True)
            try:
                return child.wait()
            finally:
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except OSError:
                    pass
                os.unlink(given)

    def environment(self, credentials, region, work):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "_", "LAMBDA_", "PYTHON"))}
        env.update(PATH=self.path, HOME=work, TMPDIR=work, AWS_PAGER="", AWS_EC2_METADATA_DISABLED="true")
        region = region or os.environ.get("AWS_REGION")
        if region:
            env["AWS_REGION"] = env["AWS_DEFAULT_REGION"] = region
        if credentials.get("Success"):
            env["AWS_ACCESS_KEY_ID"] = credentials.get("AccessKeyId", "")
            env["AWS_SECRET_ACCESS_KEY"] = credentials.get("SecretAccessKey", "")
            env["AWS_SESSION_TOKEN"] = credentials.get("SessionToken", "")
        for name, value in os.environ.items():  # endpoints, CA bundles: where AWS is
            if name.startswith("AWS_ENDPOINT_URL") or name == "AWS_CA_BUNDLE":
                env[name] = value
        return env


# --------------------------------------------------------------------- output

def plain(box):
    """The one value in the box, made of nothing but JSON's own types, so that
    every runtime encodes it alike. The box is emptied, for memory's sake."""
    try:
        text = dumps(box[0], allow_nan=False, ensure_ascii=False)
        size = len(text.encode("utf-8"))
    except MemoryError:
        raise
    except Exception as e:
        raise Failure("OutputNotJSON", "main has to return JSON, and %s." % fault_in(box[0], e))
    if size > MAX_OUTPUT:
        raise too_large(size)
    del box[:]
    try:
        return loads(text), size
    except (ValueError, RecursionError) as e:
        raise Failure("OutputNotJSON", "main has to return JSON, and the output cannot be read back: %s." % told(e))


def too_large(size):
    return Failure("OutputTooLarge", "The output is %d bytes of JSON, and a function returns %d at most: return less, "
                   "or put it somewhere and return where." % (size, MAX_OUTPUT))


def fault_in(output, error):
    """Names the first value that JSON has no form for, and where it is."""
    pending, above, seen = [("output", output, ())], None, 0
    while pending and seen < 1000000:
        path, value, above = pending.pop()
        seen += 1
        if isinstance(value, str):
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                return "%s holds half of a surrogate pair, which is no text" % path
        elif value is None or isinstance(value, (bool, int)):
            pass
        elif isinstance(value, float):
            if value != value or value in (float("inf"), float("-inf")):
                return "%s is %r" % (path, value)
        elif isinstance(value, (dict, list, tuple)):
            if id(value) in above:
                return "%s is %s that contains itself" % (path, a_value(value))
            if len(above) >= 900:
                return "output is nested more than 900 levels deep"
            above = above + (id(value),)
            if not isinstance(value, dict):
                pending.extend(reversed([("%s[%d]" % (path, i), v, above) for i, v in enumerate(value)]))
                continue
            for key in value:
                if not (key is None or isinstance(key, (str, int, float))):
                    return "%s has %s as a key, and keys are strings" % (path, a_value(key))
                pending_key = (path + " (a key)", key, ())
                if isinstance(key, (str, float)):
                    pending.append(pending_key)
            pending.extend(reversed([("%s[%s]" % (path, told(key, repr)[:80]), v, above) for key, v in value.items()]))
        else:
            return "%s is %s" % (path, a_value(value))
    return "the output is not: %s" % told(error)


def a_value(value):
    name = type(value).__name__
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name


# --------------------------------------------------------------------- errors

def describe(e, phase):
    """An exception as the answer tells it."""
    kind, message, trace, line = type(e).__name__[:200], told(e), "", 0
    if isinstance(e, Failure):
        kind = e.kind
    else:
        try:
            line = line_of(e)
            trace = trace_of(e)
        except BaseException:
            trace = ""  # no memory left, or an exception that cannot be shown
        if isinstance(e, SyntaxError) and e.filename == SCRIPT:
            kind, line = "SyntaxError", e.lineno or 0
            message = e.msg if type(e) is SyntaxError else "%s: %s" % (type(e).__name__, e.msg)
        elif isinstance(e, SystemExit):
            kind = "SystemExit"
            message = "The script ended itself with exit(%s) before main returned: return from main instead." % told(e.code, repr)
        elif isinstance(e, MemoryError):
            kind = "MemoryError"
    return {"type": as_text(kind), "message": message, "traceback": trace, "phase": phase, "line": line}


def told(value, how=str):
    """str or repr of a value, whatever that does, and bounded."""
    try:
        text = how(value)
        return as_text(text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + " …")
    except BaseException:
        return "(a %s that cannot be shown)" % type(value).__name__


def as_text(text):
    """The text without halves of surrogate pairs, which no runtime can send."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def line_of(e):
    """The innermost line of the script itself."""
    line, tb = 0, e.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == SCRIPT:
            line = tb.tb_lineno
        tb = tb.tb_next
    return line


def trace_of(e):
    import traceback
    trace = traceback.TracebackException(type(e), e, e.__traceback__)
    trim(trace, 0)
    text = "".join(trace.format())
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2 - 20
        text = text[:half] + "\n  …\n" + text[-half:]
    return as_text(text)


def trim(trace, depth):
    """Leaves the script's frames and those below, in the whole chain."""
    if trace is None or depth > 50:
        return
    frames = list(trace.stack)
    while frames and frames[0].filename != SCRIPT:
        frames.pop(0)
    for frame in frames:
        frame.filename = short(frame.filename)
    trace.stack[:] = frames
    if getattr(trace, "filename", None) == SCRIPT:
        trace.filename = "script.py"
    trim(trace.__cause__, depth + 1)
    trim(trace.__context__, depth + 1)
    for inner in getattr(trace, "exceptions", None) or ():
        trim(inner, depth + 1)


# -------------------------------------------------------------------- answers

def handle(event, context):
    """Runs the script once and tells what came of it."""
    shell = isinstance(script, Commands)
    begin(event, context, MAX_OUTPUT + 1 if shell else event.get("stdout_bytes", LOG_BYTES))
    started = time.perf_counter()
    output, error = script(event)
    spent = time.perf_counter() - started
    size = 0
    if error is None:
        try:
            box = [output]
            del output
            output, size = plain(box)
        except BaseException as e:
            output, error = None, describe(e, "output")
    if os.getpid() != process:  # a fork of the script's that came back from main
        stdout.flush()
        stderr.flush()
        exit_process(0)
    disarm()
    settle()
    answer = {"output": output, "error": error, "execute_ms": round(spent * 1000, 3)}
    limit = event.get("stdout_bytes", LOG_BYTES), event.get("stderr_bytes", LOG_BYTES)
    add_logs(answer, limit, size, leave_stdout=shell and error is None)
    forget()
    return answer


def begin(event, context, stdout_limit):
    """Puts the process back to where the first run found it."""
    global run
    run = Run(getattr(context, "aws_request_id", ""))
    stdout.take_over(stdout_limit)
    stderr.take_over(event.get("stderr_bytes", LOG_BYTES))
    now = {k: v for k, v in os.environ.items() if k != "_X_AMZN_TRACE_ID"}
    if now != environment:
        for name in now.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
    try:
        os.chdir(folder)
    except OSError:
        pass
    arm(context)


def settle():
    """Takes everything that was written so far."""
    stdout.flush()
    stderr.flush()
    with lock:
        stdout.drain()
        stderr.drain()


def add_logs(answer, limits, size, leave_stdout):
    """The logs, cut further where the answer would grow too large with them."""
    while True:
        out, out_cut = ("", False) if leave_stdout else stdout.told(limits[0])
        err, err_cut = stderr.told(limits[1])
        if size + len(dumps([out, err])) <= MAX_ANSWER:
            break
        limits = limits[0] // 2, limits[1] // 2
    answer.update(stdout=out, stderr=err, truncated=out_cut or err_cut)


def forget():
    """What the next run's logs must not begin with."""
    with lock:
        stdout.drain()
        stderr.drain()
        stdout.clear()
        stderr.clear()


def load():
    """The init phase. Root handlers that the runtime gave to logging would take
    the script's records past us."""
    if "logging" in sys.modules:
        del sys.modules["logging"].getLogger().handlers[:]
    if sys.path[:1] != [FOLDER]:
        sys.path.insert(0, FOLDER)
    os._exit = exit_with_words
    faulthandler.enable(file=stdout.real)
    return Commands() if os.path.exists(COMMANDS) else Script()


stdout, stderr = Stream(1, "stdout"), Stream(2, "stderr")
wake_read, wake_write = os.pipe()
os.set_blocking(wake_read, False)
os.set_blocking(wake_write, False)
_thread.start_new_thread(watch, (wake_read,))
script = load()
environment = {k: v for k, v in os.environ.items() if k != "_X_AMZN_TRACE_ID"}
try:
    folder = os.getcwd()
except OSError:
    folder = FOLDER
