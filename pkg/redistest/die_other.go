//go:build !linux

package redistest

import "syscall"

// dieWithParent is Linux's alone: elsewhere a killed test process leaves its
// server behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
