package inside

import "golang.org/x/sys/unix"

// SeccompArch is the kernel's constant for this architecture.
const SeccompArch uint32 = unix.AUDIT_ARCH_AARCH64

// refusedHere are refused calls of this architecture only.
var refusedHere []uint32
