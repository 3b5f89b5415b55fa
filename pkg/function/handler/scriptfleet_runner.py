"""The handler of an env runner: executes the script that its payload carries.

A runner is one function per tenant and env. Its process, which holds the Runtime
API, executes no script. At the start it forks the template
(scriptfleet_runner_template), which has loaded the handler and nothing else, and
which never receives a payload. For each run the template forks a child, which gets
its script and its input from here over a socket of its own. So a child's memory
contains nothing of another run, and a child can change nothing in the process from
which the next one is forked. The child of the next run is forked once nothing is
left of this one, so that no run waits for the fork.

Neither this process nor the template can be traced or read by a child: they are not
dumpable. A filter of system calls keeps the child from signalling them, from
changing their limits, and from the Runtime API (scriptfleet_runner_walls). After the
run everything that it left is ended and removed (scriptfleet_runner_traces). The
answer is returned only then, so no process of a run exists when Lambda gives the
next one.

What must hold:
  - A script is executed only if its hash is what its bytes, its timeout and this
    runner's own fields make. Otherwise the answer is not_taken, and nothing has
    executed. Only this process may say so: it is dropped from a child's answer.
  - If anything of a run remains, or the template is gone, this process ends before
    it takes the next script, and says so in its log, to which no script can write.
  - Without one of its walls it takes no script.
"""

import _socket as socket
import json
import os
import select
import struct
import time

import scriptfleet_runner_template as template_process
import scriptfleet_runner_traces as traces
import scriptfleet_runner_walls as walls

FOLDER = os.path.dirname(os.path.abspath(__file__))
MAX_ANSWER = 6300000
LOG_BYTES = 4096  # as Lambda's log tail
INIT_SECONDS = 10.0  # an import may take as long as in Lambda's init phase, or the timeout if that is longer
SPARE_SECONDS = 3.0  # of the function's own time, for cleaning up and answering
SOURCE, TIMEOUT, FIXED = 5, 6, 9  # the places in the fields of a hash
ANSWER = "output", "error", "stdout", "stderr", "truncated"


class Refusal(Exception):
    """The script is not taken; nothing of it was executed."""

    def __init__(self, reason, message):
        Exception.__init__(self, message)
        self.reason = reason


def hash_of(fields, source, timeout, sealed):
    """run.Script's hash of a script of this runner."""
    own = list(fields[:FIXED])
    own[SOURCE], own[TIMEOUT] = source, str(timeout)
    own += ["sealed"] * sealed + [field for field in fields[FIXED:] if field != "runner"]
    return digest("scriptfleet.script", own)


def digest(domain, fields):
    data = bytearray()
    for field in [domain] + fields:
        text = field.encode("utf-8", "surrogatepass")
        data += struct.pack(">Q", len(text)) + text
    number = int.from_bytes(sha256(data).digest()[:20], "big")
    return "".join("abcdefghijklmnopqrstuvwxyz234567"[number >> shift & 31] for shift in range(155, 25, -5))


try:
    from _sha2 import sha256
except ImportError:
    try:
        from _sha256 import sha256
    except ImportError:
        from hashlib import sha256


class Child:
    """The process of one run, as this process knows it. It is forked ahead of the run,
    and nothing waits for it until meet."""

    def __init__(self, template):
        self.template = template
        ours, theirs = socket.socketpair()
        log, their_log = os.pipe()
        try:
            template.fork(theirs.fileno(), their_log)
        except BaseException:
            ours.close()
            os.close(log)
            raise
        finally:
            theirs.close()
            os.close(their_log)
        self.socket, self.log, self.tail = ours, log, b""
        self.pid = self.pidfd = self.gate = None
        self.data, self.begun, self.answer = bytearray(), False, None
        self.loaded = False

    def close(self):
        if self.gate:
            self.gate.close()
        for fd in (self.log, self.pidfd):
            if fd is not None:
                os.close(fd)
        self.socket.close()

    def meet(self):
        """Waits until the child has its walls and waits for its script. Returns False if
        it has ended, and raises OSError if the template has."""
        self.pid = self.template.forked()
        try:
            if walls.api:
                self.gate = walls.Gate(self.socket)
            elif self.socket.recv(1) != b"W":
                return False
            self.pidfd = walls.pidfd_open(self.pid)
            return not select.select([self.pidfd], [], [], 0)[0]
        except OSError:
            return False

    def give(self, message):
        """Sends the script. The child reads all of it before it executes anything."""
        text = json.dumps(message).encode()
        self.socket.sendall(struct.pack(">Q", len(text)))
        self.socket.sendall(text)

    def attend(self, seconds, until):
        """Serves the child until it has answered, has ended or is over its time.
        Returns whether its time was up."""
        end = min(time.monotonic() + max(INIT_SECONDS, seconds), until)
        poller = select.poll()
        for fd in (self.socket.fileno(), self.log, self.pidfd, self.gate and self.gate.fd):
            if fd is not None:
                poller.register(fd, select.POLLIN)
        self.socket.setblocking(False)
        os.set_blocking(self.log, False)
        while self.answer is None:
            left = end - time.monotonic()
            if left <= 0:
                return True
            ready = dict(poller.poll(left * 1000 + 1))
            if self.log in ready and not self.read_log():
                poller.unregister(self.log)
            gate = ready.get(self.gate.fd, 0) if self.gate else 0
            if gate & select.POLLIN:
                self.gate.serve()
            elif gate:
                poller.unregister(self.gate.fd)  # no process is left to ask
            if self.socket.fileno() in ready:
                was = self.loaded
                if not self.read():
                    poller.unregister(self.socket.fileno())
                if self.loaded and not was:
                    end = min(time.monotonic() + seconds, until)
            elif self.pidfd in ready:
                break  # and all that it sent is read
        return False

    def read_log(self):
        try:
            data = os.read(self.log, 65536)
        except (BlockingIOError, InterruptedError):
            return True
        self.tail = (self.tail + data)[-LOG_BYTES:]
        return bool(data)

    def read(self):
        """Reads what the child sends. It begins with S if the script does not compile,
        or with B before any of it executes; L tells that it is imported, and A is
        followed by the answer. Behind B all may be the script's own."""
        try:
            data = self.socket.recv(1 << 20)
        except (BlockingIOError, InterruptedError):
            return True
        self.data += data
        if self.data[:1] == b"S" and not self.begun:
            raise Refusal("DoesNotCompile", "Python does not compile the script; its build tells why")
        if self.data[:1] == b"B" and not self.begun:
            self.begun = True
            del self.data[:1]
        if self.data[:1] == b"L" and self.begun and not self.loaded:
            self.loaded = True
            del self.data[:1]
        if self.data[:1] == b"A" and len(self.data) >= 9:
            size = struct.unpack_from(">Q", self.data, 1)[0]
            if size > MAX_ANSWER:
                self.answer = b""
            elif len(self.data) >= 9 + size:
                self.answer = bytes(self.data[9:9 + size])
        elif self.data and self.data[:1] != b"A":
            self.answer = b""  # it is none of these
        if len(self.data) > MAX_ANSWER + 9:
            self.answer = b""
        return bool(data)


class Runner:
    def __init__(self):
        with open(FOLDER + "/scriptfleet_fields") as f:
            self.fields = json.load(f)
        self.traces = traces.Traces()
        self.lacks = walls.prepare()
        self.template = template_process.Template()
        walls.hide()
        self.lacks = self.lacks or self.template.lacks
        self.unclean = self.traces.remove()  # an earlier process of this environment may have left some
        self.next = None
        self.fork_next()

    def handle(self, event, context):
        try:
            return self.run(event, context)
        except Refusal as e:
            return {"not_taken": {"reason": e.reason, "message": str(e)}}

    def run(self, event, context):
        script = event.pop("script", None)
        if not isinstance(script, dict):
            raise Refusal("NoScript", "an env runner executes the script in its payload, and there is none")
        source, timeout, sealed = script["source"], script["timeout_seconds"], bool(script.get("sealed"))
        if hash_of(self.fields, source, timeout, sealed) != script["hash"]:
            raise Refusal("WrongHash", "the script's hash is not that of its bytes in this runner")
        if self.lacks:
            raise Refusal("NoWalls", "this environment cannot keep scripts apart: " + self.lacks)
        if self.unclean:
            _, _, left = self.template.end()
            self.unclean = self.traces.remove() or left
        if self.unclean:
            leave("NotClean", self.unclean)
        try:
            child = self.take_next()
        except OSError as e:
            leave("NoTemplate", "the process that forks the scripts is gone: %s" % e)
        try:
            return self.attend(child, event, script, context)
        finally:
            child.close()
            self.fork_next()

    def fork_next(self):
        """Has the child of the next run forked, unless something of this one remains."""
        if self.lacks or self.unclean:
            return
        try:
            self.next = Child(self.template)
        except OSError:
            pass  # the next run tries again

    def take_next(self):
        """The child that waits, or another one if that has ended."""
        for _ in range(2):
            child = self.next or Child(self.template)
            self.next = None
            if child.meet():
                return child
            _, _, self.unclean = self.template.end()
            child.read_log()
            child.close()
        raise Refusal("NotBegun", "the script's process ended before the script began: " + child.tail.decode("utf-8", "replace"))

    def attend(self, child, event, script, context):
        timeout, refusal = script["timeout_seconds"], None
        until = time.monotonic() + seconds_left(context) - SPARE_SECONDS
        timed_out = False
        try:
            child.give({"script": script, "event": event, "trace": os.environ.get("_X_AMZN_TRACE_ID", "")})
            event.clear()
            script.clear()
            timed_out = child.attend(timeout, until)
        except Refusal as e:
            refusal = e
        except OSError:
            pass  # the child has ended
        if not child.begun and not refusal:
            child.read_log()
            refusal = Refusal("NotBegun", "the script's process ended before the script began: " + child.tail.decode("utf-8", "replace"))
        status, peak, self.unclean = self.template.end()
        self.unclean = self.traces.remove() or self.unclean
        if refusal:
            raise refusal
        if child.answer is not None:
            answer = read_answer(child.answer)
        else:
            child.read_log()
            answer = ended(timed_out, timeout, status, child.tail)
        answer["max_memory_mb"] = peak >> 10
        return answer


def read_answer(data):
    """The answer of a child, without what only this process may say."""
    try:
        told = json.loads(data)
        return {name: told[name] for name in ANSWER}
    except (ValueError, KeyError, TypeError, RecursionError):
        error = {"type": "PythonBroken", "message": "The script wrote to the descriptor over which its process answers: leave descriptors "
                 "that are not its own as they are.", "traceback": "", "phase": "output", "line": 0, "ours": True}
        return {"output": None, "error": error, "stdout": "", "stderr": "", "truncated": False}


def ended(timed_out, timeout, status, tail):
    """The answer for a child that gave none, in Lambda's words for a process that
    ended."""
    if timed_out:
        kind, text = "Sandbox.Timedout", "Task timed out after %.2f seconds" % timeout
    elif status & 127:
        signal = status & 127
        kind, text = "Runtime.ExitError", "Runtime exited with error: signal: %s" % ("killed" if signal == 9 else signal)
    elif status >> 8:
        kind, text = "Runtime.ExitError", "Runtime exited with error: exit status %d" % (status >> 8)
    else:
        kind, text = "Runtime.ExitError", "Runtime exited without providing a reason"
    return {"ended": {"errorType": kind, "errorMessage": text}, "log": tail.decode("utf-8", "replace")}


def leave(reason, message):
    """Ends this process before it has begun with the script, so that the environment
    starts anew."""
    os.write(1, ("\nSCRIPTFLEET-NOT-TAKEN %s %s\n" % (reason, message)).encode("utf-8", "replace"))
    os._exit(1)


def seconds_left(context):
    try:
        return context.get_remaining_time_in_millis() / 1000.0
    except Exception:
        return 3600.0


runner = Runner()
handle = runner.handle
