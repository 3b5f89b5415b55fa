"""Captures what a run prints, and reports the end of a run that is killed.

While the script runs, descriptors 1 and 2 are pipes of its run; otherwise they
are the runtime's, because some runtimes answer over them. A thread drains the
pipes all the time, so that no writer blocks; only the beginning and the last 2 KB
are kept. Each run has its own pipes: output of a child of an earlier run is
dropped.

Shortly before the timeout, the last output and the script's stack are written to
the real stdout as one line ("last words"), because only the end of the log of a
killed process arrives. main may loop in C, so there are three ways to write it:
the draining thread (if main releases the interpreter), a handler of SIGALRM (if
the C code checks for signals, and the script does not use that signal), and
faulthandler (the stack only).
"""

from scriptfleet_own import (builtins as __builtins__, _signal, _thread, encode, faulthandler, gc, live_sys,
                             monotonic, os, select, sys)
from scriptfleet_stacks import stack_of, stacks_beside

LOG_BYTES = 64 << 10
TAIL_BYTES = 2 << 10
LAST_WORDS = "SCRIPTFLEET-LAST-WORDS "
LAST_WORDS_BYTES = 3000  # the log tail is 4 KB, Lambda's own lines included

process = os.getpid()
main_thread = _thread.get_ident()
buffer = bytearray(65536)


class Stream:
    """The bytes written to one pipe: the first `limit`, the last TAIL_BYTES, and the
    count of all."""

    def __init__(self):
        self.head, self.tail, self.total, self.limit = bytearray(), b"", 0, LOG_BYTES
        self.read_end, self.write_end = os.pipe()
        self.identity = identity(self.write_end)
        os.set_blocking(self.read_end, False)
        self.drained = False  # all writers have closed it

    def drain(self):
        """Reads the bytes in the pipe; the caller holds the run's lock. A pipe
        holds 64 KB, so four reads get everything that was there before the call,
        and a child that never stops writing cannot keep this loop going."""
        for _ in range(0 if self.drained else 4):
            try:
                n = os.readv(self.read_end, [buffer])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                n = 0  # the script closed our descriptor
            if n == 0:
                self.drained = True
                return
            self.total += n
            room = self.limit - len(self.head)
            if room > 0:
                self.head += buffer[:min(n, room)]
            self.tail = (self.tail + buffer[max(0, n - TAIL_BYTES):n])[-TAIL_BYTES:]

    def close(self, end):
        """Closes one end, unless the script closed it and reused the descriptor."""
        if identity(end) == self.identity:
            os.close(end)

    def last(self, keep):
        return self.tail[len(self.tail) - min(keep, len(self.tail)):].decode("utf-8", "ignore")

    def told(self, limit):
        """The beginning as text, and whether more was written."""
        data = bytes(self.head[:limit])
        cut = self.total > len(data)
        text = data.decode("utf-8", "replace")
        if cut:
            text = text.rstrip("\ufffd")  # half a character
        return text, cut


def identity(fd):
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def move(source, fd):
    """Makes fd a duplicate of source, or of /dev/null if the script closed source."""
    try:
        os.dup2(source, fd)
    except OSError:
        null = os.open("/dev/null", os.O_RDWR)
        if null != fd:
            os.dup2(null, fd)
            os.close(null)


class Descriptor:
    """Descriptor 1 or 2, and the sys stream over it."""

    def __init__(self, fd, name):
        self.fd, self.name = fd, name
        self.real = os.dup(fd)
        self.runtimes, self.python = getattr(live_sys, name), getattr(live_sys, "__%s__" % name)
        self.own = self.scripts = self.settings = None

    def take(self, stream):
        """Puts the pipe under the sys stream that the script's import left. Our own
        stream is opened over a pipe, because a stream remembers if it is seekable."""
        move(stream.write_end, self.fd)
        if not usable(self.own):
            self.own = fresh(self.fd)
            self.settings = settings(self.own)
        elif self.settings != settings(self.own):
            encoding, errors, by_line = self.settings
            self.own.reconfigure(encoding=encoding, errors=errors, line_buffering=by_line)
        if not usable(self.scripts):
            self.scripts = self.own
        setattr(live_sys, self.name, self.scripts)

    def give_back(self, stream, imported):
        """Flushes all buffers, and restores the runtime's descriptor. A stream that
        the script leaves may close the descriptor when it is collected, so it is
        collected first."""
        left = getattr(live_sys, self.name, None)
        self.flush(left)
        move(stream.write_end, self.fd)
        self.flush(left)
        if imported and usable(left):
            self.scripts = left
        if imported and usable(self.own):
            self.settings = settings(self.own)
        if not usable(self.runtimes):
            self.runtimes = fresh(self.fd)
            setattr(live_sys, "__%s__" % self.name, self.runtimes)
        setattr(live_sys, self.name, self.runtimes)
        if left is not self.scripts:
            left = None
            gc.collect()  # it may be part of a reference cycle
        move(self.real, self.fd)

    def flush(self, left):
        for stream in (self.own, self.scripts, left, self.runtimes, self.python):
            try:
                stream.flush()
            except BaseException:
                pass  # closed, or the script's own object


def fresh(fd):
    return open(fd, "w", buffering=1, closefd=False, encoding="utf-8", errors="backslashreplace")


def settings(text):
    return text.encoding, text.errors, text.line_buffering


def usable(stream):
    """Tells whether the stream accepts output; the script may have replaced, closed
    or detached it."""
    try:
        return callable(stream.write) and not getattr(stream, "closed", False)
    except BaseException:
        return False


class Run:
    """The capture of one run. The import and the first run share one, so that the
    import's output is part of the first run's."""

    def __init__(self):
        self.request, self.soft_end, self.spoke = "", None, False
        self.later = []  # later times for last words, for an import
        self.coroutine = None  # the coroutine that main returned, if any
        self.over = False
        self.lock = _thread.allocate_lock()
        self.out, self.err = Stream(), Stream()
        _thread.start_new_thread(self.watch, ())

    def watch(self):
        """Drains the pipes until their last writer has closed them, and writes the
        last words shortly before the timeout."""
        poller = select.poll()
        streams = {stream.read_end: stream for stream in (self.out, self.err)}
        for fd in streams:
            poller.register(fd, select.POLLIN)
        while streams or not self.over:
            try:
                left = 1000 if self.soft_end is None else (self.soft_end - monotonic()) * 1000
                poller.poll(min(max(left + 1, 1), 1000))
                with self.lock:
                    self.drain()
                    for fd in [fd for fd, stream in streams.items() if stream.drained]:
                        poller.unregister(fd)
                        streams.pop(fd).close(fd)
                if self.soft_end is not None and monotonic() >= self.soft_end:
                    self.soft_end = self.later.pop(0) if self.later else None
                    self.last_words(sys._current_frames().get(main_thread))
                    self.spoke = self.soft_end is None
            except MemoryError:
                pass  # the script's own; it must not stop the draining

    def drain(self):
        self.out.drain()
        self.err.drain()

    def settle(self):
        """Reads everything that was written before the call."""
        with self.lock:
            self.drain()

    def end(self):
        """Reads the rest; later output is dropped."""
        self.over = True  # first, so that the thread ends with the streams
        for stream in (self.out, self.err):
            stream.close(stream.write_end)
        self.settle()

    def forget(self):
        with self.lock:
            self.out.limit = self.err.limit = 0
            self.out.head = self.err.head = b""

    def last_words(self, frame, **more):
        """Writes the last output and the script's stack to the real stdout; then
        again with its other stacks, which take time to collect."""
        if not self.lock.acquire(timeout=0.05):
            return
        try:
            if self.spoke:
                return
            self.spoke = True
            self.drain()
            words = dict(more, request=self.request, stack=stack_of(frame, self.coroutine))
            self.say(words)
            faulthandler.cancel_dump_traceback_later()
        finally:
            self.lock.release()
        if not more:
            try:
                words["beside"] = stacks_beside(main_thread, self.coroutine)
                if words["beside"]:
                    self.say(words)
            except Exception:
                pass  # it touched the script's own objects

    def say(self, words):
        for keep in (1400, 900, 500, 200, 0):
            words["stdout"], words["stderr"] = self.out.last(keep), self.err.last(keep)
            words["truncated"] = self.out.total > keep or self.err.total > keep
            line = encode(words).encode("utf-8", "replace")
            if len(line) <= LAST_WORDS_BYTES:
                break
        os.write(stdout.real, b"\n" + LAST_WORDS.encode() + line + b"\n")


class Current:
    """The running run, if any."""

    def __init__(self):
        self.run = Run()

    def take(self):
        stdout.take(self.run.out)
        stderr.take(self.run.err)

    def give_back(self, imported=False):
        stderr.give_back(self.run.err, imported)
        stdout.give_back(self.run.out, imported)


def alarm(signum, frame):
    """The handler of SIGALRM, unless the script sets one."""
    run = current.run
    if run.soft_end is not None and monotonic() >= run.soft_end - 0.01 and os.getpid() == process:
        run.last_words(frame)


stdout, stderr = Descriptor(1, "stdout"), Descriptor(2, "stderr")
current = Current()
