"""What a script can leave in an environment besides processes, and its removal:
files in the writable folders, and System V objects. POSIX message queues and
keyrings are closed to scripts (scriptfleet_runner_walls); sockets, file locks and
memory end with their processes."""

import os
import stat
import time

import scriptfleet_runner_walls as walls

SECONDS = 3.0  # that a removal may take; the next run goes on with it

# On Lambda a function can write to /tmp alone. With TMPDIR set, that folder is the
# one in its place.
FOLDERS = [os.environ["TMPDIR"]] if os.environ.get("TMPDIR") else ["/tmp", "/dev/shm", "/var/tmp"]

# The kinds of System V objects, and the arguments of their removal (IPC_RMID is 0).
KINDS = ("shm", "shmctl", (0, None)), ("sem", "semctl", (0, 0)), ("msg", "msgctl", (0, None))


class Traces:
    def __init__(self):
        self.objects = {kind: objects(kind) for kind, _, _ in KINDS}
        self.folders = [folder for folder in map(Folder, FOLDERS) if folder.fd is not None]

    def remove(self):
        """Removes all of it. Returns what remains, as a sentence, or None."""
        try:
            end = time.monotonic() + SECONDS
            for folder in self.folders:
                folder.empty(end)
            for kind, control, arguments in KINDS:
                for number in objects(kind) - self.objects[kind]:
                    if getattr(walls.libc, control)(number, *arguments) != 0:
                        return "an object of System V remains"
        except OSError as e:
            return "a file remains: %s" % e
        return None


def objects(kind):
    """The numbers of the objects of this uid."""
    uid, found = str(os.getuid()), set()
    try:
        with open("/proc/sysvipc/" + kind) as f:
            names = f.readline().split()
            at = names.index(kind + "id" if kind != "msg" else "msqid")
            owners = names.index("uid"), names.index("cuid")
            for line in f:
                values = line.split()
                if uid in (values[owners[0]], values[owners[1]]):
                    found.add(int(values[at]))
    except (OSError, ValueError):
        pass  # this kernel has none
    return found


class Folder:
    """A folder in which scripts can write. It is kept open, since a script that owns
    it can change its mode too."""

    def __init__(self, path):
        self.path, self.fd = path, None
        if os.access(path, os.W_OK):
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            self.state = os.fstat(self.fd)
            self.attributes = {name: os.getxattr(self.fd, name) for name in os.listxattr(self.fd)}

    def empty(self, end):
        """Removes everything of this uid, and raises OSError if anything remains.
        Folders within folders are moved up first: a path may be longer than the
        kernel takes."""
        own = self.state.st_uid == os.getuid()
        if own and os.fstat(self.fd).st_mode != self.state.st_mode:
            os.fchmod(self.fd, stat.S_IMODE(self.state.st_mode))
        while True:
            names = [entry.name for entry in os.scandir(self.fd) if ours(entry)]
            if not names:
                break
            for name in names:
                self.take_out(name)
                if time.monotonic() > end:
                    raise OSError("there are too many in " + self.path)
        if own:
            self.restore()

    def restore(self):
        for name in os.listxattr(self.fd):
            if name not in self.attributes:
                os.removexattr(self.fd, name)
        for name, value in self.attributes.items():
            os.setxattr(self.fd, name, value)
        os.utime(self.fd, ns=(self.state.st_atime_ns, self.state.st_mtime_ns))

    def take_out(self, name):
        if not stat.S_ISDIR(os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=self.fd)
            return
        os.chmod(name, 0o700, dir_fd=self.fd)
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.fd)
        try:
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):
                    os.chmod(entry.name, 0o700, dir_fd=folder)
                    os.rename(entry.name, "scriptfleet-" + os.urandom(12).hex(), src_dir_fd=folder, dst_dir_fd=self.fd)
                else:
                    os.unlink(entry.name, dir_fd=folder)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=self.fd)


def ours(entry):
    try:
        return entry.stat(follow_symlinks=False).st_uid == os.getuid()
    except FileNotFoundError:
        return False
