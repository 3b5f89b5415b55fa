//go:build linux

package inside

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// old is where the host's root is mounted while the new root is made. A process
// that is open cannot reach it: the init alone can enter the folder above.
const old = "/.old/root"

// makeRoot gives the sandbox its own root: a tmpfs with only the paths that a
// script needs, all read-only except /tmp and the writable binds.
func (pl *Plan) makeRoot() error {
	if !pl.Walls.MountNamespace {
		return nil
	}
	if err := pivot(); err != nil {
		return err
	}
	for _, path := range systemPaths {
		if err := provide(path); err != nil {
			return err
		}
	}
	if err := makeDev(); err != nil {
		return err
	}
	if err := pl.makeEtc(); err != nil {
		return err
	}
	if err := pl.makeProc(); err != nil {
		return err
	}
	if err := makeTmp(pl.Spec.TmpBytes); err != nil {
		return err
	}
	for _, b := range pl.Spec.Binds {
		if err := bind(b); err != nil {
			return err
		}
	}
	if pl.Spec.Open {
		return nil
	}
	return seal()
}

// complete adds the binds that an open process lacks, and closes its root.
func (r Rest) complete() error {
	for _, b := range r.Binds {
		if err := bind(b); err != nil {
			return err
		}
	}
	return seal()
}

// pivot makes an empty root with the host's root mounted at old.
func pivot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	at := "/tmp"
	if _, err := os.Stat(at); err != nil {
		at = "/proc"
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=4m,mode=755"); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	if err := os.MkdirAll(at+old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(at, at+old); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	return os.Chdir("/")
}

// systemPaths are the host's paths in every sandbox, where they exist.
var systemPaths = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"}

// provide makes a path of the host available in the new root: a link as a link,
// a directory read-only.
func provide(path string) error {
	info, err := os.Lstat(old + path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(old + path)
		if err != nil {
			return err
		}
		return os.Symlink(target, path)
	}
	return bind(Bind{Source: path, Target: path})
}

// bind mounts a path of the host and all mounts below it.
func bind(b Bind) error {
	if err := mountPoint(old+b.Source, b.Target); err != nil {
		return fmt.Errorf("make %s: %w", b.Target, err)
	}
	if err := unix.Mount(old+b.Source, b.Target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", b.Target, err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if !b.Writable {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	err := unix.MountSetattr(unix.AT_FDCWD, b.Target, unix.AT_RECURSIVE, &attr)
	if errors.Is(err, unix.ENOSYS) {
		err = remount(b.Target, b.Writable)
	}
	if err != nil {
		return fmt.Errorf("protect %s: %w", b.Target, err)
	}
	return nil
}

// remount is for kernels before 5.12. It changes the topmost mount only.
func remount(path string, writable bool) error {
	flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID | unix.MS_NODEV)
	if !writable {
		flags |= unix.MS_RDONLY
	}
	return unix.Mount("", path, "", flags, "")
}

// mountPoint makes a directory or an empty file, like source, as a mount point.
func mountPoint(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.MkdirAll(target, 0o755)
	}
	if err := os.MkdirAll(path.Dir(target), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

func makeDev() error {
	for _, name := range devices {
		path := "/dev/" + name
		if err := mountPoint(old+"/dev/null", path); err != nil {
			return err
		}
		if err := unix.Mount(old+path, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", path, err)
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}

var devices = []string{"null", "zero", "full", "random", "urandom"}

// etcCopied are small files: copying one costs less than a mount. etcBound are
// directories.
var (
	etcCopied = []string{"hosts", "resolv.conf", "nsswitch.conf", "host.conf", "gai.conf", "localtime", "timezone", "ld.so.cache", "services", "protocols", "mime.types", "os-release"}
	etcBound  = []string{"ssl", "pki", "ca-certificates", "crypto-policies", "alternatives"}
)

func (pl *Plan) makeEtc() error {
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return err
	}
	for _, name := range etcCopied {
		data, err := os.ReadFile(old + followed("/etc/"+name))
		if name == "hosts" && pl.Walls.IPCNamespace { // it must resolve the sandbox's own hostname
			data, err = fmt.Appendf(data, "\n127.0.0.1\t%s\n", hostname), nil
		}
		if err == nil && len(data) < 1<<20 {
			err = os.WriteFile("/etc/"+name, data, 0o644)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	for _, name := range etcBound {
		if _, err := os.Stat(old + "/etc/" + name); err != nil {
			continue
		}
		if err := bind(Bind{Source: "/etc/" + name, Target: "/etc/" + name}); err != nil {
			return err
		}
	}
	passwd := fmt.Sprintf("root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:%d:%d:sandbox:/tmp:/bin/sh\n", UID, UID)
	if err := os.WriteFile("/etc/passwd", []byte(passwd), 0o644); err != nil {
		return err
	}
	return os.WriteFile("/etc/group", fmt.Appendf(nil, "root:x:0:\nsandbox:x:%d:\n", UID), 0o644)
}

// followed resolves a link of the host itself: the kernel would resolve an
// absolute link in the new root.
func followed(file string) string {
	for range 8 {
		target, err := os.Readlink(old + file)
		if err != nil {
			return file
		}
		if strings.HasPrefix(target, "/") {
			file = target
		} else {
			file = path.Join(path.Dir(file), target)
		}
	}
	return file
}

func (pl *Plan) makeProc() error {
	if err := os.Mkdir("/proc", 0o555); err != nil {
		return err
	}
	if !pl.Walls.Proc {
		return nil
	}
	// hidepid hides the init from the process.
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	err := unix.Mount("proc", "/proc", "proc", flags, "hidepid=2")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("proc", "/proc", "proc", flags, "")
	}
	if err != nil {
		return &StartError{WallProc, err.Error()}
	}
	return nil
}

func makeTmp(size int64) error {
	if err := os.Mkdir("/tmp", 0o755); err != nil {
		return err
	}
	options := fmt.Sprintf("size=%d,nr_inodes=65536,mode=1777", size)
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount /tmp: %w", err)
	}
	if err := os.MkdirAll("/var", 0o755); err != nil {
		return err
	}
	return os.Symlink("/tmp", "/var/tmp")
}

// seal unmounts the host's root and makes the new root read-only.
func seal() error {
	if err := unix.Unmount(old, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the host's root: %w", err)
	}
	if err := errors.Join(os.Remove(old), os.Remove(path.Dir(old))); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("make root read-only: %w", err)
	}
	return nil
}
