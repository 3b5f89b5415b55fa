//go:build !linux

package process

import "syscall"

// dieWithParent exists on Linux only: elsewhere the children survive a killed
// test process.
func dieWithParent() *syscall.SysProcAttr { return nil }
