//go:build !linux

package process

import "syscall"

// dieWithParent is Linux's alone: elsewhere a test's process that is killed
// leaves its children behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
