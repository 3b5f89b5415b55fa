package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible is ctx until Ctrl-C, or SIGTERM. A command that has ended its
// embedded stack then leaves neither a process nor a folder behind.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
