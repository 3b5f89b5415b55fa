//go:build !linux

package walls

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
