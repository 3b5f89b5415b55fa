package inside

import "golang.org/x/sys/unix"

// SeccompArch is the kernel's constant for this architecture.
const SeccompArch uint32 = unix.AUDIT_ARCH_X86_64

// refusedHere are refused calls of this architecture only.
var refusedHere = []uint32{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE}
