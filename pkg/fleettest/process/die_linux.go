package process

import "syscall"

// dieWithParent makes the kernel kill the child when the test's process ends in
// any way.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
