"""The walls between a script of an env runner and the processes that serve the next.

On Lambda all of them have one uid, and there are no namespaces. What there is:

  - A process that is not dumpable can be neither traced nor read by others of its
    uid; its files in /proc belong to root.
  - A filter of system calls (seccomp) on the script's process and all that come of
    it. It refuses signals to the two processes, changes of their limits and
    priorities, keyrings, and io_uring, which would pass by the filter.
  - The gate. Any process of an environment can call the Runtime API: answer the
    invocation under way, and take the next one, which would be another script's. So
    where that API has an address (on Lambda, and in a custom runtime), connect is
    not executed by the script's process. The kernel asks this one, which reads the
    address once, and connects the script's own socket to it, unless it is the
    API's. A script cannot change the address between the look and the connect.

The calls are made by ctypes: Python has no functions for them."""

import ctypes
import errno
import fcntl
import os
import struct

import _socket as socket
import _thread

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 22, 36, 38
PIDFD_OPEN, PIDFD_GETFD = 434, 438  # the same on every architecture
ALLOW, REFUSE, KILL, ASK = 0x7FFF0000, 0x00050000, 0x80000000, 0x7FC00000  # answers of a filter
NEW_LISTENER = 8
FAST_OPEN = 0x20000000  # MSG_FASTOPEN: a send that connects
NOTE, REPLY = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
RECEIVE, SEND, IS_VALID = 0xC0502100, 0xC0182101, 0x40082102  # ioctls of the listener

# The numbers of system calls.
X86_64 = dict(
    arch=0xC000003E, seccomp=317, connect=42, sendto=44, sendmsg=46, sendmmsg=307, kill=62, tkill=200, tgkill=234, rt_sigqueueinfo=129,
    rt_tgsigqueueinfo=297, prlimit64=302, sched_setaffinity=203, sched_setscheduler=144, sched_setparam=142, sched_setattr=314,
    setpriority=141, ioprio_set=251, add_key=248, request_key=249, keyctl=250)
AARCH64 = dict(
    arch=0xC00000B7, seccomp=277, connect=203, sendto=206, sendmsg=211, sendmmsg=269, kill=129, tkill=130, tgkill=131, rt_sigqueueinfo=138,
    rt_tgsigqueueinfo=240, prlimit64=261, sched_setaffinity=122, sched_setscheduler=119, sched_setparam=118, sched_setattr=274,
    setpriority=140, ioprio_set=30, add_key=217, request_key=218, keyctl=219)
IO_URING = 425, 426, 427  # the same on every architecture
calls = {"x86_64": X86_64, "aarch64": AARCH64}.get(os.uname().machine)

api = None  # the addresses and the port of the Runtime API, if it has any


def prepare():
    """Finds out what this machine has. Returns what lacks, as a sentence, or None."""
    global api
    where = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    if where:
        host, _, port = where.rpartition(":")
        api = {found[4][0] for found in socket.getaddrinfo(host, None)}, int(port)
    if not calls:
        return "the numbers of system calls of %s are not known" % os.uname().machine
    return None


def prctl(option, value):
    if libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) != 0:
        raise failure("prctl")


def failure(call):
    number = ctypes.get_errno()
    return OSError(number, "%s: %s" % (call, os.strerror(number)))


def syscall(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        raise failure("system call %d" % number)
    return result


def pidfd_open(pid):
    return syscall(PIDFD_OPEN, pid, 0)


def hide():
    """Makes this process one that cannot be traced or read."""
    prctl(PR_SET_DUMPABLE, 0)


def program(protected, group):
    """The filter, in BPF. It keeps the protected pids and their process group from
    signals and limits."""
    code = []

    def add(operation, k, yes=0, no=0):
        code.append(struct.pack("=HBBI", operation, yes, no, k & 0xFFFFFFFF))

    def load(offset):
        add(0x20, offset)

    def answer(what):
        add(0x06, what)

    def on(name, *body):
        """What follows is for this call alone; its end loads the number again."""
        at = len(code)
        add(0, 0)
        for step in body:
            step()
        load(0)
        code[at] = struct.pack("=HBBI", 0x15, 0, len(code) - at - 1, calls[name] if isinstance(name, str) else name)

    def refuse(number=errno.EPERM):
        answer(REFUSE | number)

    def refuse_if(argument, values, number=errno.EPERM):
        def steps():
            load(16 + 8 * argument)
            for value in values:
                add(0x15, value, 0, 1)
                refuse(number)
        return steps

    def refuse_unless(argument, value):
        def steps():
            load(16 + 8 * argument)
            add(0x15, value, 1, 0)
            refuse()
        return steps

    def refuse_flag(argument, flag):
        def steps():
            load(16 + 8 * argument)
            add(0x45, flag, 0, 1)
            refuse(errno.EOPNOTSUPP)
        return steps

    load(4)
    add(0x15, calls["arch"], 1, 0)
    answer(KILL)
    load(0)
    if calls is X86_64:
        add(0x35, 0x40000000, 0, 1)  # the x32 calls
        refuse()
    on("kill", refuse_if(0, list(protected) + [-1, -group]))
    for name in ("tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr", PIDFD_OPEN):
        on(name, refuse_if(0, protected))
    on("prlimit64", refuse_unless(0, 0))
    on("setpriority", refuse_unless(0, 0), refuse_if(1, protected))
    on("ioprio_set", refuse_unless(0, 1), refuse_if(1, protected))
    for name in ("tkill", "add_key", "request_key", "keyctl") + IO_URING:
        on(name, refuse)
    if api:
        on("sendto", refuse_flag(3, FAST_OPEN))
        on("sendmsg", refuse_flag(2, FAST_OPEN))
        on("sendmmsg", refuse_flag(3, FAST_OPEN))
        on("connect", lambda: answer(ASK))
    answer(ALLOW)
    return b"".join(code)


def confine(protected, group):
    """Applies the filter to this process and all that come of it. Returns the
    listener of the gate, or None without one. Neither can be undone."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    text = ctypes.create_string_buffer(program(protected, group))
    filter = struct.pack("=HxxxxxxQ", (len(text) - 1) // 8, ctypes.addressof(text))
    fd = syscall(calls["seccomp"], 1, NEW_LISTENER if api else 0, ctypes.create_string_buffer(filter))
    return fd if api else None


class Gate:
    """Executes the connects of a child's processes."""

    def __init__(self, sock):
        _, found, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(4))
        if not found:
            raise OSError("the child has no gate")
        self.fd = struct.unpack("=i", found[0][2][:4])[0]
        self.open, self.lock, self.closed = set(), _thread.allocate_lock(), False

    def serve(self):
        """Takes one connect."""
        note = bytearray(NOTE.size)
        try:
            fcntl.ioctl(self.fd, RECEIVE, note)
        except OSError:
            return  # the process was ended meanwhile
        number, pid, _, _, _, _, fd, address, length, _, _, _ = NOTE.unpack(note)
        try:
            target = self.look(number, pid, address, length)
            ours = self.take(pid, fd)
        except OSError as e:
            self.reply(number, e.errno or errno.EPERM)
            return
        _thread.start_new_thread(self.connect, (number, ours, target))  # it may wait for long

    def look(self, number, pid, address, length):
        """The address to which the process connects, in memory of this one."""
        if not 2 <= length <= 128:
            raise OSError(errno.EINVAL, "")
        memory = os.open("/proc/%d/mem" % pid, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(self.fd, IS_VALID, struct.pack("=Q", number))  # else the pid may be another's
            target = os.pread(memory, length, address)
        finally:
            os.close(memory)
        if len(target) != length:
            raise OSError(errno.EFAULT, "")
        if is_api(target):
            raise OSError(errno.ECONNREFUSED, "")
        family = struct.unpack_from("=H", target)[0]
        if family == socket.AF_UNIX and target[2:3] not in (b"", b"\0", b"/"):
            target = target[:2] + b"/proc/%d/cwd/" % pid + target[2:]
        return target

    def take(self, pid, fd):
        """The process's own socket, as a descriptor of this one."""
        with open("/proc/%d/status" % pid) as f:
            group = next(int(line.split()[1]) for line in f if line.startswith("Tgid:"))
        handle = pidfd_open(group)
        try:
            return syscall(PIDFD_GETFD, handle, fd, 0)
        finally:
            os.close(handle)

    def connect(self, number, fd, target):
        with self.lock:
            if self.closed:
                os.close(fd)
                return
            self.open.add(fd)
        result = libc.connect(fd, target, len(target))
        code = ctypes.get_errno() if result != 0 else 0
        with self.lock:
            self.open.remove(fd)
            os.close(fd)
            if not self.closed:
                self.reply(number, code)

    def reply(self, number, code):
        try:
            fcntl.ioctl(self.fd, SEND, REPLY.pack(number, 0, -code, 0))
        except OSError:
            pass  # the process has ended

    def close(self):
        """Ends the connects that still wait."""
        with self.lock:
            self.closed = True
            for fd in self.open:
                libc.shutdown(fd, 2)
            os.close(self.fd)


def is_api(target):
    """Whether this is an address of the Runtime API: its port, on this machine."""
    family = struct.unpack_from("=H", target)[0]
    if family not in (socket.AF_INET, socket.AF_INET6) or len(target) < 8:
        return False
    addresses, port = api
    if struct.unpack_from("!H", target, 2)[0] != port:
        return False
    if family == socket.AF_INET:
        address = socket.inet_ntop(family, target[4:8])
    elif len(target) < 24:
        return True
    elif target[8:20] in (bytes(10) + b"\xff\xff", bytes(12)):  # an IPv4 address
        family, address = socket.AF_INET, socket.inet_ntop(socket.AF_INET, target[20:24])
        if target[8:24] in (bytes(16), bytes(15) + b"\1"):
            return True
    else:
        address = socket.inet_ntop(family, target[8:24])
    return address in addresses or is_local(family, address)


def is_local(family, address):
    try:
        probe = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        return True
    try:
        probe.bind((address, 0))
        return True
    except OSError as e:
        return e.errno != errno.EADDRNOTAVAIL
    finally:
        probe.close()
