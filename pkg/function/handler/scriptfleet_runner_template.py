"""The process that forks the scripts' processes of an env runner, and the beginning of
those.

The template has loaded the handler, up to the parts of it that belong to one process.
It never receives a payload. All processes of a script are its descendants, whatever
they do (it is their subreaper): a run has no process left once the template has no
child left, which the kernel tells it.

Over its socket the runner sends F with the two descriptors of a child, and gets the
child's pid; then E, and gets the child's status, its peak of memory in KB, and whether
all of its processes have ended. The runner sends F once nothing is left of a run, for
the next one, and does not wait. So a child is forked, has its walls and its own part
of the handler before there is a script for it; and no script ever runs beside it."""

import _socket as socket
import gc
import json
import os
import resource
import struct
import sys
import time
import warnings

from scriptfleet_own import builtins as __builtins__, _signal, monotonic
import scriptfleet_runner_walls as walls
import scriptfleet_given as given
import scriptfleet_errors
import scriptfleet_output
from scriptfleet_stacks import FOLDER, SCRIPT

END_SECONDS = 3.0  # that ending a run's processes may take
DONE = struct.Struct("=iQ?")
RUNTIME = 3  # where the embedded stack's runtime has its API: who writes there is told at once that it is not
PER_PROCESS = "scriptfleet_capture", "scriptfleet_handler"


class Template:
    """The runner's side."""

    def __init__(self):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        runner = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                serve(theirs.detach(), runner)
            finally:
                os._exit(1)
        theirs.close()
        self.lacks = self.socket.recv(4096).decode() or "the process that forks the scripts did not start"
        if self.lacks == "nothing":
            self.lacks = None

    def fork(self, sock, log):
        """Has a child forked, whose pid forked returns."""
        self.socket.sendmsg([b"F"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=ii", sock, log))])

    def forked(self):
        pid = self.socket.recv(4)
        if len(pid) != 4:
            raise OSError("it gave no answer")
        return struct.unpack("=i", pid)[0]

    def end(self):
        """Ends all processes of the run. Returns the status of the script's own, its
        peak of memory, and what remains, as a sentence, or None."""
        try:
            self.socket.send(b"E")
            status, peak, clean = DONE.unpack(self.socket.recv(DONE.size))
        except (OSError, struct.error):
            return 9, 0, "the process that forks the scripts is gone"
        return status, peak, None if clean else "a process remains"


def serve(control, runner):
    """The template's own loop."""
    os.closerange(3, control)
    os.closerange(control + 1, max(4096, control + 1))
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.close(null)
    walls.prctl(walls.PR_SET_CHILD_SUBREAPER, 1)
    codes = {name: code_of(name) for name in PER_PROCESS}
    walls.hide()
    gc.collect()
    gc.freeze()  # else the first collection of each child copies all of its memory
    sock = socket.socket(fileno=control)
    protected = runner, os.getpid()
    sock.send((probe(protected) or "nothing").encode())
    child = 0
    while True:
        order, found, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(8))
        if order == b"F":
            ends = struct.unpack("=ii", found[0][2][:8])
            child = os.fork()
            if child == 0:
                try:
                    begin(control, ends, protected, codes)
                except BaseException as e:
                    os.write(2, ("%s: %s" % (type(e).__name__, e)).encode("utf-8", "replace"))
                finally:
                    os._exit(1)
            for fd in ends:
                os.close(fd)
            sock.send(struct.pack("=i", child))
            continue
        status, peak, clean = end_all(child)
        child = 0
        if not order:
            os._exit(0)  # the runner has ended
        sock.send(DONE.pack(status, peak, clean))


def code_of(name):
    """The code of a module of the handler, of which each child makes its own."""
    return type(__loader__)(name, FOLDER + "/" + name + ".py").get_code(name)


def probe(protected):
    """Tries the walls in a child of its own. Returns why they are not to be had."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            walls.confine(protected, os.getpgid(protected[0]))
            try:
                os.kill(protected[0], 0)
                os.write(tell, b"the filter of system calls has no effect")
            except PermissionError:
                pass
        except BaseException as e:
            os.write(tell, str(e).encode())
        finally:
            os._exit(0)
    os.close(tell)
    text = os.read(told, 4096).decode()
    os.close(told)
    os.waitpid(pid, 0)
    return text


def end_all(first):
    """Ends all descendants. Returns the status and the peak of the first one, and
    whether there is none left."""
    end, rounds = time.monotonic() + END_SECONDS, 0
    status, peak = end_one(first) if first else (9, 0)
    while True:
        try:
            ended = os.waitpid(-1, os.WNOHANG)[0]
        except ChildProcessError:
            return status, peak, True
        if time.monotonic() > end:
            return status, peak, False
        for pid in children():
            if rounds > 20:
                calm(pid)
            try:
                os.kill(pid, 9)
            except OSError:
                pass
        rounds += 1
        if not ended:
            time.sleep(0.0001)


def end_one(pid):
    """Ends the script's own process, and waits for its end without looking again and
    again. Returns its status, and its peak of memory."""
    try:
        os.kill(pid, 9)
        _, status, usage = os.wait4(pid, 0)
        return status, usage.ru_maxrss
    except OSError:  # there is none
        return 9, 0


def calm(pid):
    """Keeps a process from forking: some fork faster than they are ended."""
    try:
        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
    except (OSError, ValueError):
        pass


def children():
    me = os.getpid()
    try:
        with open("/proc/%d/task/%d/children" % (me, me)) as f:
            return [int(pid) for pid in f.read().split()]
    except OSError:
        return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and parent_of(pid) == me]


def parent_of(pid):
    try:
        with open("/proc/%s/stat" % pid) as f:
            return int(f.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


class Context:
    """What the handler asks of Lambda's context. The request's id is not given to
    scripts: with it they could answer in place of the runner."""

    aws_request_id = ""

    def __init__(self, seconds):
        self.end = monotonic() + seconds

    def get_remaining_time_in_millis(self):
        return int((self.end - monotonic()) * 1000)


def begin(control, ends, protected, codes):
    """The process of a script, from its fork on. It tells the runner that it is ready
    with W, and waits for its script."""
    os.setsid()
    os.close(control)
    link, log = ends
    if link != RUNTIME:
        os.dup2(link, RUNTIME)
        os.close(link)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    walls.prctl(walls.PR_SET_DUMPABLE, 1)
    if hasattr(resource, "RLIMIT_MSGQUEUE"):
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/oom_score_adj", "w") as f:
            f.write("1000")  # if memory lacks, the kernel ends this process, not the runner
    except OSError:
        pass
    gate = walls.confine(protected, os.getpgid(protected[0]))
    sock = socket.socket(fileno=RUNTIME)
    os.environ.pop("AWS_LAMBDA_RUNTIME_API", None)
    handler = load(codes)
    if gate is None:
        sock.sendall(b"W")
    else:
        sock.sendmsg([b"W"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", gate))])
        os.close(gate)
    message = receive(sock)
    if message["trace"]:
        os.environ["_X_AMZN_TRACE_ID"] = message["trace"]
    execute(sock, message["script"], message["event"], handler)


def load(codes):
    """Executes the modules of which each child has its own, and returns the handler.
    What a run needs in any case is used once: the first write to a page of memory
    that is the template's too takes longer than what it is for."""
    given.later = True
    for name in PER_PROCESS:
        module = type(sys)(name)
        module.__file__ = FOLDER + "/" + name + ".py"
        sys.modules[name] = module
        exec(codes[name], vars(module))
    compiled(module.encode({"def main(input):": 1}).encode())
    return module


def compiled(source):
    """The code of a script, without warnings, as in a build."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, SCRIPT, "exec", dont_inherit=True)


def receive(sock):
    size = struct.unpack(">Q", exactly(sock, 8))[0]
    return json.loads(exactly(sock, size))


def exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        part = sock.recv(min(size - len(data), 1 << 20))
        if not part:
            os._exit(1)  # the runner has ended
        data += part
    return bytes(data)


def execute(sock, script, event, handler):
    """Compiles the script, and runs it once. What is used after the script has begun is
    held here: the script may change any module."""
    given.source = script["source"].encode("utf-8", "surrogatepass")
    given.sealed, given.timeout = bool(script.get("sealed")), script["timeout_seconds"]
    try:
        given.code = compiled(given.source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        sock.sendall(b"S")
        return
    if not given.sealed:
        sys.meta_path.insert(0, given.Finder)
    send, pack, handle, encode, leave = sock.sendall, struct.pack, handler.handle, handler.encode, handler.exit_process
    send(b"B")
    handler.begin()
    send(b"L")
    text = encode(handle(event, Context(given.timeout))).encode("utf-8", "surrogatepass")
    send(b"A" + pack(">Q", len(text)) + text)
    leave(0)
