//go:build linux

package inside

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostname is the host's name inside a UTS namespace; the sandbox's /etc/hosts
// resolves it. Without the namespace the host's name stays.
const hostname = "sandbox"

// raiseLoopback brings up lo in the sandbox's own network namespace.
func (pl *Plan) raiseLoopback() error {
	if pl.Walls.IPCNamespace && pl.Walls.MountNamespace {
		_ = unix.Sethostname([]byte(hostname))
	}
	if pl.Spec.Network || !pl.Walls.NetworkNamespace {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	ifreq, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifreq.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifreq); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	return nil
}

// limit sets the rlimits that do not harm the init itself.
func (pl *Plan) limit() error {
	if !pl.Walls.Rlimits {
		return nil
	}
	limits := map[int]uint64{
		unix.RLIMIT_NPROC:    uint64(pl.Spec.MaxProcesses),
		unix.RLIMIT_FSIZE:    uint64(pl.Spec.MaxFileBytes),
		unix.RLIMIT_NOFILE:   uint64(pl.Spec.MaxOpenFiles),
		unix.RLIMIT_CORE:     0,
		unix.RLIMIT_MEMLOCK:  64 << 10,
		unix.RLIMIT_MSGQUEUE: 0,
	}
	for resource, most := range limits {
		var have unix.Rlimit
		if err := unix.Getrlimit(resource, &have); err == nil && have.Max < most {
			most = have.Max
		}
		set := syscall.Rlimit{Cur: most, Max: most}
		if resource == unix.RLIMIT_NOFILE {
			// syscall.Setrlimit, not unix.Setrlimit: else the standard library
			// restores the old limit in the process that it starts.
			if err := syscall.Setrlimit(resource, &set); err != nil {
				return fmt.Errorf("limit files: %w", err)
			}
			continue
		}
		if err := unix.Prlimit(0, resource, &unix.Rlimit{Cur: most, Max: most}, nil); err != nil {
			return fmt.Errorf("set rlimit %d: %w", resource, err)
		}
	}
	return nil
}

// dropBounding removes all capabilities from this thread's bounding set, and
// sets no_new_privs so that no setuid file can raise them.
func (pl *Plan) dropBounding() error {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if pl.Walls.Root || pl.Walls.UserNamespace {
		for c := uintptr(0); c <= 63; c++ {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err == unix.EINVAL {
				break
			} else if err != nil {
				return fmt.Errorf("drop capability %d: %w", c, err)
			}
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
			return fmt.Errorf("drop ambient capabilities: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return nil
}

// dropCapabilities leaves this thread only the capabilities to change its uid,
// which the change drops too. If the uid stays, it leaves none.
func (pl *Plan) dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if pl.UID != 0 {
		keep := uint32(1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID)
		data[0].Effective, data[0].Permitted = keep, keep
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}
