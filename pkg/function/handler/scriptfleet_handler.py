"""The handler of every function that scriptfleet makes, on Lambda and on the
embedded stack alike.

A function's folder contains the handler's files and the author's script:
script.py, which defines main(input), or script.sh; or scriptfleet_sealed for a
script whose callers may not read it. The script is imported in the
init phase, so that a warm run executes main only. An error of the import is
returned by each run, in the same form as an error of main. In an env runner the
script comes later, in scriptfleet_given, and the runner calls begin then.

What must hold:
  - The output is exactly what main returned, or there is an error that says
    which part of it JSON cannot express (scriptfleet_output).
  - A run's output is complete, and in no other run's logs (scriptfleet_capture).
  - A script may change anything in Python without harming the handler. The
    handler uses copies made before the import (scriptfleet_own), guards every
    access to the script's objects, and raises nothing. If a script breaks Python
    so that no answer can be made, that is an error of the script's.

The handler restores the descriptors 1 and 2, the sys streams, the environment
variables, the working folder, the time zone, signal handlers, timers, limits and
the modules that a runtime uses: after a run to the runtime's state, and before
the next run to the state after the import. Other modules, globals, threads and
files belong to the script and stay, as on Lambda.

The handler uses only the standard library, of Python 3.8 and later. It must be
quick to import, so modules for errors, coroutines or commands are imported when
they are needed.
"""

from scriptfleet_own import (builtins as __builtins__, _signal, encode, environ, faulthandler, is_, is_a, live_classes,
                             live_modules, live_os, live_sys, live_time, monotonic, os, sys, time)
from scriptfleet_capture import LOG_BYTES, Run, alarm, current, process, stderr, stdout, watcher
from scriptfleet_errors import Failure, describe, told, type_name
from scriptfleet_output import MAX_OUTPUT, a_value, plain
from scriptfleet_stacks import FOLDER, SCRIPT, Coroutine
import scriptfleet_given as given

SEALED = FOLDER + "/scriptfleet_sealed"
MAX_ANSWER = 6200000
INIT_SECONDS = 10  # Lambda's limit of an import
SOFT_SECONDS = 0.4  # last words are this long before the timeout, faulthandler's half as long
LONGEST = 3600.0  # longer than any timeout: a later deadline means a broken clock
TIMERS = _signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF
exit_process = os._exit


class Surroundings:
    """The present state of everything in the process that a script may change."""

    def __init__(self):
        self.modules = [(vars(module), dict(vars(module))) for module in live_modules]
        self.classes = [(kind, dict(vars(kind))) for kind in live_classes]
        self.environment, self.zone = variables(), live_time.tzname
        self.zone_left = False
        self.stdin = live_sys.stdin
        try:
            self.folder = os.getcwd()
        except OSError:
            self.folder = FOLDER
        self.umask = os.umask(0o77)
        os.umask(self.umask)
        self.recursion, self.switching = sys.getrecursionlimit(), sys.getswitchinterval()
        self.handlers = {n: _signal.getsignal(n) for n in range(1, _signal.NSIG)}
        self.timers = [_signal.getitimer(which) for which in TIMERS]

    def put_back(self):
        """Restores the state. Each step is guarded, so that one that the script has
        broken does not prevent the others."""
        for step in (self.tracing, self.signals, self.names, self.limits, self.files, self.variables):
            for _ in range(2):  # the first may be cut short by a signal handler of the script's
                try:
                    step()
                    break
                except BaseException:
                    pass

    def tracing(self):
        sys.settrace(None)
        sys.setprofile(None)

    def names(self):
        self.zone_left = live_time.tzname is not self.zone  # tzset replaces the tuple
        for live, names in self.modules:
            live.update(names)
        for kind, names in self.classes:
            if all(map(is_, map(vars(kind).get, names), names.values())):
                continue
            for name, value in names.items():
                if vars(kind).get(name) is not value:
                    setattr(kind, name, value)

    def limits(self):
        sys.setrecursionlimit(self.recursion)
        sys.setswitchinterval(self.switching)

    def signals(self):
        for which, (delay, interval) in zip(TIMERS, self.timers):
            _signal.setitimer(which, delay, interval)
        if not all(map(is_, map(_signal.getsignal, self.handlers), self.handlers.values())):
            for n, handler in self.handlers.items():
                if handler is not None and _signal.getsignal(n) is not handler:
                    _signal.signal(n, handler)
        _signal.set_wakeup_fd(-1)

    def files(self):
        os.umask(self.umask)
        os.chdir(self.folder)
        os.dup2(stdin, 0)
        if getattr(self.stdin, "closed", True):
            self.stdin = open(0, closefd=False)
        live_sys.stdin = self.stdin

    def variables(self):
        now = variables()
        if now != self.environment:
            for name in now.keys() - self.environment.keys():
                del environ[live_os.fsdecode(name)]
            for name, value in self.environment.items():
                if now.get(name) != value:
                    environ[live_os.fsdecode(name)] = live_os.fsdecode(value)
        if self.zone_left:
            if b"TZ" not in self.environment:
                os.unsetenv("TZ")
            time.tzset()


def variables():
    """The environment in bytes, without the variables that the runtime sets per run."""
    now = dict(environ._data)
    now.pop(b"_X_AMZN_TRACE_ID", None)
    return now


class Script:
    """script.py, imported once. A failed import is repeated in the next run, because
    the network may have caused it."""

    def __init__(self):
        self.main = self.error = None
        self.fresh = True

    def load(self):
        self.main = self.error = None
        live_sys.modules.pop("script", None)
        try:
            sealed = given.sealed if given.code else live_os.path.exists(SEALED)
            module = unsealed() if sealed else __import__("script")
            if not hasattr(module, "main"):
                raise Failure("MissingMain", "The script defines no main: it needs a function main(input).")
            self.main = module.main
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
            if BaseException.__traceback__.__get__(e).tb_next is None:  # raised by the call itself
                raise Failure("MainTakesOtherArguments", "main is called as main(input), and that failed: %s. "
                              "Give it one parameter: def main(input)." % told(e))
            raise
        if type(output) is Coroutine:
            import asyncio
            current.run.coroutine = output
            output = asyncio.run(output)
        sys.setprofile(None)  # at once, without a frame that the script's function would see
        sys.settrace(None)
        return output


def unsealed():
    """The module of a sealed script. It has no source file and no loader, so neither
    Python nor the script's own libraries find source lines for a traceback."""
    code = given.code
    if not code:
        with open(SEALED, "rb") as f:
            source = f.read()
        try:
            code = compile(source, SCRIPT, "exec", dont_inherit=True)
        except SyntaxError as e:
            e.text = None
            raise
    module = type(live_sys)("script")
    module.__file__, module.__builtins__ = SCRIPT, live_sys.modules["builtins"]
    live_sys.modules["script"] = module
    exec(code, vars(module))
    return module


def arm(left):
    """Sets the time of the last words, in three ways: for the watcher; by an alarm for
    a main that loops in C, unless the script uses alarms; and by faulthandler, at the
    same alarm or by a thread of its own, which costs more than the rest of a short
    run, for a main that never checks for signals."""
    if not 0 < left < LONGEST:
        return
    soft = max(left - SOFT_SECONDS, left / 2)
    run = current.run
    if _signal.getsignal(_signal.SIGALRM) == _signal.SIG_DFL and not any(_signal.getitimer(_signal.ITIMER_REAL)):
        _signal.signal(_signal.SIGALRM, alarm)
        faulthandler.register(_signal.SIGALRM, file=stdout.real, chain=True)
        _signal.setitimer(_signal.ITIMER_REAL, soft)
    else:
        faulthandler.dump_traceback_later(soft + (left - soft) / 2, file=stdout.real)
    run.soft_end = monotonic() + soft
    watcher.wake_by(run.soft_end)


def seconds_left(context):
    try:
        return context.get_remaining_time_in_millis() / 1000.0
    except Exception:
        return 0


def arm_import():
    """Lambda ends an import after INIT_SECONDS, repeats it, and then ends it after
    the function's timeout. The runtime does not tell which of the two this is, so
    last words are set for both. The timeout is in a file of the function."""
    ends = [INIT_SECONDS]
    try:
        with live_os.fdopen(os.open(FOLDER + "/scriptfleet_timeout", os.O_RDONLY)) as f:
            ends.append(given.timeout or int(f.read()))
    except (OSError, ValueError):
        pass
    ends = sorted({max(end - SOFT_SECONDS, end / 2) for end in ends})
    faulthandler.dump_traceback_later(ends[0] + SOFT_SECONDS / 2, file=stdout.real)
    current.run.later = [monotonic() + soft for soft in ends[1:]]
    current.run.soft_end = monotonic() + ends[0]
    watcher.wake_by(current.run.soft_end)


def disarm():
    current.run.soft_end, current.run.later, current.run.spoke = None, [], False
    faulthandler.cancel_dump_traceback_later()
    if faulthandler.unregister(_signal.SIGALRM):  # which brings back the handler of arm
        _signal.signal(_signal.SIGALRM, _signal.getsignal(_signal.SIGALRM) or _signal.SIG_DFL)


def exit_with_words(code):
    """os._exit for the script: it writes the last words first, so that the output is
    not lost."""
    if os.getpid() == process:
        current.run.last_words(sys._getframe(1), exit=code & 255 if is_a(code, int) else None)
    exit_process(code)


def kill_with_words(name, own):
    """os.kill or os.killpg for the script. A signal that would end this process is
    noted first: otherwise the end would look like a lack of memory."""
    kill = getattr(os, name)

    def killing(target, signum):
        if os.getpid() == process and is_a(target, int) and target in own() and ends_us(signum):
            current.run.last_words(sys._getframe(1), by="os." + name)
        return kill(target, signum)

    killing.__name__ = name
    return killing


def ends_us(signum):
    harmless = 0, _signal.SIGCHLD, _signal.SIGCONT, _signal.SIGURG, _signal.SIGWINCH, _signal.SIGSTOP
    return (is_a(signum, int) and 0 < signum < _signal.NSIG and signum not in harmless
            and _signal.getsignal(signum) in (None, _signal.SIG_DFL, alarm))


def leave_if_forked():
    """Ends a child that the script forked and that returned from main or the import."""
    if os.getpid() != process:
        stdout.flush(live_sys.stdout)
        stderr.flush(live_sys.stderr)
        exit_process(0)


def handle(event, context):
    """Runs the script once and returns the answer."""
    if "script" in event:
        return {"not_taken": {"reason": "NoRunner", "message": "this is the function of one script, and takes no other"}}
    try:
        if current.run.over:  # else it is the import's capture, which the first run continues
            current.run = Run()
        return answer(event, context)
    except BaseException as e:
        return unanswered(e)


def answer(event, context):
    run, shell = current.run, type(script) is not Script
    limits = event.get("stdout_bytes", LOG_BYTES), event.get("stderr_bytes", LOG_BYTES)
    run.request = getattr(context, "aws_request_id", "")
    run.out.limit, run.err.limit = MAX_OUTPUT + 1 if shell else limits[0], limits[1]
    left = seconds_left(context)  # while the clocks are the runtime's
    try:
        scripts.put_back()
        current.take()
        arm(left)
        output, error = script(event)
        size = 0
        if error is None:
            try:
                box = [output]
                del output
                sys.setrecursionlimit(scripts.recursion)
                output, size = plain(box)
            except BaseException as e:
                output, error = None, describe(e, "output")
        leave_if_forked()
    finally:
        runtimes.put_back()
        current.give_back()
        disarm()
        run.end()
    told = {"output": output, "error": error}
    add_logs(told, run, limits, size, leave_stdout=shell and error is None)
    run.forget()
    return told


def add_logs(answer, run, limits, size, leave_stdout):
    """The logs, shortened until the answer is small enough."""
    while True:
        out, out_cut = ("", False) if leave_stdout else run.out.told(limits[0])
        err, err_cut = run.err.told(limits[1])
        if size + len(encode([out, err])) <= MAX_ANSWER:
            break
        limits = limits[0] // 2, limits[1] // 2
    answer.update(stdout=out, stderr=err, truncated=out_cut or err_cut)


def unanswered(e):
    """The answer when the handler itself fails. That only happens if the script has
    broken Python, so it is the script's error."""
    error = {"type": "PythonBroken", "message": "The script left Python in a state in which its answer cannot be made (%s: %s): leave "
             "Python's own modules, descriptors and limits as they are." % (type_name(e), told(e)),
             "traceback": "", "phase": "output", "line": 0, "ours": True}
    if is_a(e, MemoryError):
        error.update(type="MemoryError", message="")
    return {"output": None, "error": error, "stdout": "", "stderr": "", "truncated": False}


def prepare():
    """The init phase, before the script. It removes the runtime's root handlers of
    logging, because they would bypass the capture."""
    if "logging" in live_sys.modules:
        del live_sys.modules["logging"].getLogger().handlers[:]
    if live_sys.path[:1] != [FOLDER]:
        live_sys.path.insert(0, FOLDER)
    environ["HOME"] = "/tmp"  # the only folder that a script can write to on Lambda
    live_os._exit = exit_with_words
    live_os.kill = kill_with_words("kill", lambda: (process, 0, -1, -os.getpgrp()))
    live_os.killpg = kill_with_words("killpg", lambda: (0, os.getpgrp()))
    faulthandler.enable(file=stdout.real)
    current.begin()
    current.take()


def load():
    """The script, and the surroundings that its import has left."""
    arm_import()
    try:
        if live_os.path.exists(FOLDER + "/script.sh"):
            from scriptfleet_commands import Commands
            loaded = Commands()
        else:
            loaded = Script()
            loaded.load()
        leave_if_forked()
        return loaded, Surroundings()
    finally:
        disarm()
        current.give_back(imported=True)


def begin():
    """Imports the script."""
    global script, scripts
    script, scripts = load()
    runtimes.put_back()


try:
    stdin = os.dup(0)
except OSError:
    stdin = os.open("/dev/null", os.O_RDONLY)
runtimes = Surroundings()
runtimes.handlers[_signal.SIGINT] = _signal.SIG_IGN  # a thread that a script left cannot interrupt the runtime
prepare()
if not given.later:
    begin()
