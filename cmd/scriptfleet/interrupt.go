package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// interruptible is ctx until Ctrl-C, or SIGTERM. A command that has ended its
// embedded stack then leaves neither a process nor a folder behind.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// errInterrupted is why a command ends that was not let finish.
var errInterrupted = errors.New("interrupted")

// interrupted is err, unless a signal came and is the reason.
func interrupted(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return errInterrupted
	}
	return err
}
