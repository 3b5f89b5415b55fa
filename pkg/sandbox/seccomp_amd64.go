package sandbox

import "golang.org/x/sys/unix"

// seccompArch is how the kernel names this architecture's calls.
const seccompArch uint32 = unix.AUDIT_ARCH_X86_64

// refusedHere are the calls that only this architecture has.
var refusedHere = []uint32{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE}
