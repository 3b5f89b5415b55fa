//go:build linux

package sandbox

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// attributes requests the namespaces from the kernel. If the starter is root,
// the init stays root of the user namespace, which the process cannot reach,
// and the process gets a uid of the host that owns no files. Otherwise only the
// starter's own uid can be mapped, and the init works with ambient
// capabilities.
func attributes(w Report, network bool, uid int) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	for flag, on := range map[uintptr]bool{
		unix.CLONE_NEWUSER: w.UserNamespace,
		unix.CLONE_NEWPID:  w.PIDNamespace,
		unix.CLONE_NEWNS:   w.MountNamespace,
		unix.CLONE_NEWIPC:  w.IPCNamespace,
		unix.CLONE_NEWUTS:  w.IPCNamespace,
		unix.CLONE_NEWNET:  w.NetworkNamespace && !network,
	} {
		if on {
			attr.Cloneflags |= flag
		}
	}
	switch {
	case !w.UserNamespace:
	case w.Root:
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: inside.UID, HostID: uid, Size: 1}}
		attr.GidMappings = attr.UidMappings
		attr.GidMappingsEnableSetgroups = true
	default:
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: inside.UID, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: inside.UID, HostID: os.Getgid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP, unix.CAP_KILL}
	}
	return attr
}
