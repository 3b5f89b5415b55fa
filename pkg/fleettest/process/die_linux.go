package process

import "syscall"

// dieWithParent has the kernel kill the child when the test's process ends, in
// whatever way.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
