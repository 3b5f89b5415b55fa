package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// interruptible is a context that ends at Ctrl-C or SIGTERM, so that a command
// can end its embedded stack and leave no process or folder.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// errInterrupted is the error of a command that a signal ended.
var errInterrupted = errors.New("interrupted")

// interrupted is errInterrupted if a signal has ended ctx, and else err. An err
// that is errInterrupted already keeps what it says.
func interrupted(ctx context.Context, err error) error {
	if err != nil && !errors.Is(err, errInterrupted) && errors.Is(ctx.Err(), context.Canceled) {
		return errInterrupted
	}
	return err
}
