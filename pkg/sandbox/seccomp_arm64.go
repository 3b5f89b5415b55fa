package sandbox

import "golang.org/x/sys/unix"

// seccompArch is how the kernel names this architecture's calls.
const seccompArch uint32 = unix.AUDIT_ARCH_AARCH64

// refusedHere are the calls that only this architecture has.
var refusedHere []uint32
