//go:build linux

package inside

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused are system calls that scripts do not need and that reach into the
// kernel or beyond the sandbox. They fail with EPERM, the error of most of them
// without their capability.
var refused = append([]uint32{
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_FSCONFIG, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP, unix.SYS_NFSSERVCTL,
	unix.SYS_MBIND, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
}, refusedHere...)

// namespaceFlags are the flags of clone that make namespaces.
const namespaceFlags = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// Offsets of fields in the kernel's struct seccomp_data, on little-endian
// machines.
const (
	dataNumber = 0
	dataArch   = 4
	dataArg0   = 16
	dataArg1   = 24
)

// filter applies the seccomp filter to this thread; the process inherits it.
func (pl *Plan) filter() error {
	if !pl.Walls.Seccomp {
		return nil
	}
	protect := 0
	if !pl.Walls.PIDNamespace {
		protect = unix.Getpid()
	}
	program := seccompProgram(protect)
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("load filter: %w", errno)
	}
	return nil
}

// seccompProgram is the filter's program. If protect is a pid, it also refuses
// signals to that pid and to all processes (-1): without a PID namespace the
// process could otherwise kill the init.
func seccompProgram(protect int) []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(test uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	answer := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	eperm := answer(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	program := []unix.SockFilter{
		// Other architectures have other call numbers: kill the process.
		load(dataArch), jump(unix.BPF_JEQ, SeccompArch, 1, 0), answer(unix.SECCOMP_RET_KILL_PROCESS),
		load(dataNumber),
		// The x32 numbers of amd64 are the same calls again.
		jump(unix.BPF_JGE, 0x40000000, 0, 1), eperm,
		// The flags of clone3 are in memory, which a filter cannot read. With
		// ENOSYS the C library falls back to clone.
		jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), answer(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)),
	}
	for _, number := range refused {
		program = append(program, jump(unix.BPF_JEQ, number, 0, 1), eperm)
	}
	program = append(program,
		jump(unix.BPF_JEQ, unix.SYS_CLONE, 0, 4), load(dataArg0), jump(unix.BPF_JSET, namespaceFlags, 0, 1), eperm, load(dataNumber),
		// TIOCSTI types into the terminal in which the fleet was started.
		jump(unix.BPF_JEQ, unix.SYS_IOCTL, 0, 4), load(dataArg1), jump(unix.BPF_JEQ, unix.TIOCSTI, 0, 1), eperm, load(dataNumber),
	)
	if protect != 0 {
		program = append(program, jump(unix.BPF_JEQ, unix.SYS_PIDFD_SEND_SIGNAL, 0, 1), eperm)
		for _, number := range []uint32{unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL} {
			program = append(program, jump(unix.BPF_JEQ, number, 0, 8), load(dataArg0))
			for _, pid := range []int32{int32(protect), -int32(protect), -1} {
				program = append(program, jump(unix.BPF_JEQ, uint32(pid), 0, 1), eperm)
			}
			program = append(program, load(dataNumber))
		}
	}
	return append(program, answer(unix.SECCOMP_RET_ALLOW))
}
