//go:build linux

package inside

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LandlockABI is the kernel's version of Landlock, or 0 without it.
func LandlockABI() int {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

const (
	landlockRead = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landlockFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// landlockHandled is every file right of the ABI.
func landlockHandled(abi int) uint64 {
	handled := uint64(unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1)
	if abi >= 2 {
		handled |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		handled |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		handled |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return handled
}

// landlock restricts this thread to reading the sandbox's paths and writing its
// own. Without a root of its own, only this protects the host's files.
func (pl *Plan) landlock() error {
	abi := pl.Walls.Landlock
	if abi == 0 {
		return nil
	}
	handled := landlockHandled(abi)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	if abi >= 4 && !pl.Spec.Network && !pl.Walls.NetworkNamespace {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	size := unsafe.Offsetof(attr.Quiet_access_fs)
	if abi < 6 {
		size = unsafe.Offsetof(attr.Scoped)
	}
	if abi < 4 {
		size = unsafe.Offsetof(attr.Handled_access_net)
	}
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("make ruleset: %w", errno)
	}
	defer unix.Close(int(ruleset))
	for path, access := range pl.landlockPaths() {
		if err := landlockAllow(int(ruleset), path, access&handled); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); errno != 0 {
		return fmt.Errorf("restrict self: %w", errno)
	}
	return nil
}

// landlockPaths maps paths to the rights below them.
func (pl *Plan) landlockPaths() map[string]uint64 {
	const all = ^uint64(0)
	paths := map[string]uint64{}
	if pl.Walls.MountNamespace {
		paths["/"] = landlockRead
		paths["/tmp"] = all
	} else {
		for _, p := range systemPaths {
			paths[p] = landlockRead
		}
		for _, name := range append(append([]string{}, etcCopied...), etcBound...) {
			paths["/etc/"+name] = landlockRead
		}
		paths["/etc/passwd"], paths["/etc/group"] = landlockRead, landlockRead
		paths["/proc/cpuinfo"], paths["/proc/meminfo"] = landlockRead, landlockRead
		paths[pl.Scratch] = all
	}
	for _, name := range devices {
		paths["/dev/"+name] = landlockFile
	}
	for _, b := range pl.Spec.Binds {
		path := b.Target
		if !pl.Walls.MountNamespace {
			path = b.Source
		}
		paths[path] |= landlockRead
		if b.Writable {
			paths[path] = all
		}
	}
	return paths
}

// landlockAllow adds a rule. A path that does not exist needs none.
func landlockAllow(ruleset int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= landlockFile
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("allow %s: %w", path, errno)
	}
	return nil
}
