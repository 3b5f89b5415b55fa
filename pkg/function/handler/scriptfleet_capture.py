"""Captures what a run prints, and reports the end of a run that is killed.

While the script runs, descriptors 1 and 2 are pipes of its run; otherwise they
are the runtime's, because some runtimes answer over them. One thread, the watcher,
drains the pipes of all runs all the time, so that no writer blocks; only the
beginning and the last 2 KB are kept. Each run has its own pipes: output of a child
of an earlier run is dropped.

Shortly before the timeout, the last output and the script's stack are written to
the real stdout as one line ("last words"), because only the end of the log of a
killed process arrives. main may loop in C, so there are three ways to write it:
the watcher (if main releases the interpreter), a handler of SIGALRM (if the C code
checks for signals, and the script does not use that signal), and faulthandler (the
stack only).
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
        watcher.add(self)

    def speak_in_time(self):
        """Writes the last words if it is time for them."""
        if self.soft_end is not None and monotonic() >= self.soft_end:
            self.soft_end = self.later.pop(0) if self.later else None
            self.last_words(sys._current_frames().get(main_thread))
            self.spoke = self.soft_end is None

    def drain(self):
        self.out.drain()
        self.err.drain()

    def settle(self):
        """Reads everything that was written before the call."""
        with self.lock:
            self.drain()

    def end(self):
        """Reads the rest; later output is dropped. The watcher is only left the pipes
        that a child still has, so that it need not wake for the others."""
        watcher.remove(self)
        self.over = True
        for stream in (self.out, self.err):
            stream.close(stream.write_end)
        self.settle()
        watcher.add(self)

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
            silence()
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


class Watcher:
    """The thread that drains the pipes of the runs, and writes the last words shortly
    before a timeout. A script may close its descriptors, or reuse their numbers: then
    there is another thread with others."""

    def __init__(self):
        self.run = None  # the latest
        self.ends = {}  # by read end: the run, and the stream
        self.poller = self.waker = None
        self.left = []  # earlier pollers: one that is collected would close its descriptor, which may be the script's
        self.wakes = 0.0  # the time until which the thread may sleep
        self.rest = 3600.0  # how long it sleeps at most: a child of an env runner may wait for its script as long

    def add(self, run):
        """Watches the pipes of a run that still have a writer; closes the others."""
        self.run = run
        for stream in (run.out, run.err):
            with run.lock:
                if stream.drained:
                    stream.close(stream.read_end)
                    continue
            self.ends[stream.read_end] = run, stream
            try:
                self.poller.register(stream.read_end, select.EPOLLIN)
            except Exception:
                self.begin()

    def remove(self, run):
        for stream in (run.out, run.err):
            self.ends.pop(stream.read_end, None)
            try:
                self.poller.unregister(stream.read_end)
            except Exception:
                pass  # the script closed it, or the poller: add finds that out

    def begin(self):
        """Starts a thread with a poller of its own. The earlier one, if any, ends."""
        poller, self.waker = select.epoll(), os.pipe()
        poller.register(self.waker[0], select.EPOLLIN)
        for fd, (_, stream) in list(self.ends.items()):
            if identity(fd) == stream.identity:
                poller.register(fd, select.EPOLLIN)
            else:
                del self.ends[fd]
        self.left.append(self.poller)
        self.poller = poller
        _thread.start_new_thread(self.watch, (poller, self.waker[0]))

    def wake_by(self, when):
        """Sees to it that the thread is awake at that time."""
        self.rest = 1.0  # from now on it is woken only for what comes sooner
        if when < self.wakes:
            try:
                os.write(self.waker[1], b"x")
            except OSError:
                self.begin()

    def watch(self, poller, waker):
        while poller is self.poller:
            try:
                self.wakes = monotonic() + self.rest  # before soft_end is read: see wake_by
                soft_end = self.run.soft_end
                if soft_end is not None:
                    self.wakes = min(self.wakes, soft_end)
                for fd, _ in poller.poll(max(self.wakes - monotonic(), 0) + 0.001):
                    if fd == waker:
                        os.read(waker, 4096)
                    else:
                        self.drain(poller, fd)
                self.run.speak_in_time()
            except MemoryError:
                pass  # the script's own; it must not stop the draining
            except BaseException:
                self.replace(poller)

    def replace(self, poller):
        if poller is self.poller:
            try:
                self.begin()
            except BaseException:
                self.poller = None  # there is no descriptor left; the next run tries again

    def drain(self, poller, fd):
        run, stream = self.ends.get(fd, (None, None))
        if run is None:
            return  # its run is ending
        with run.lock:
            stream.drain()
            if stream.drained and self.ends.get(fd) == (run, stream):
                del self.ends[fd]
                poller.unregister(fd)
                stream.close(fd)


class Current:
    """The running run, if any."""

    def begin(self):
        """The capture of the import. It starts the watcher."""
        self.run = Run()

    def take(self):
        stdout.take(self.run.out)
        stderr.take(self.run.err)

    def give_back(self, imported=False):
        stderr.give_back(self.run.err, imported)
        stdout.give_back(self.run.out, imported)


def silence():
    """Ends what would write the stack only. The alarm is ours as long as its handler
    is."""
    faulthandler.cancel_dump_traceback_later()
    if _signal.getsignal(_signal.SIGALRM) is alarm:
        _signal.setitimer(_signal.ITIMER_REAL, 0)


def alarm(signum, frame):
    """The handler of SIGALRM, unless the script sets one."""
    run = current.run
    if run.soft_end is not None and monotonic() >= run.soft_end - 0.01 and os.getpid() == process:
        run.last_words(frame)


stdout, stderr = Descriptor(1, "stdout"), Descriptor(2, "stderr")
watcher = Watcher()
current = Current()
