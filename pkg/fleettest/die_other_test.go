//go:build !linux

package fleettest

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
