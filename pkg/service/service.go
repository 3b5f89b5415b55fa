// Package service runs the parts of a process and drains them at the end.
//
// There are two contexts. The intake context ends at SIGTERM, SIGINT or SIGHUP:
// each part then takes in nothing more, finishes its work in hand, and returns.
// The work context ends when the drain has lasted too long, or at a second
// SIGTERM or SIGINT: each part then cancels its work.
//
// A second SIGHUP does not end the work context, since a terminal that closes
// may send several. A process that was started to ignore SIGHUP, as by nohup,
// ignores it.
package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// The causes of the end of the work context: ErrDrainTimeout after a drain that
// took too long, ErrHurried after a second signal.
var (
	ErrDrainTimeout = errors.New("service: the drain took too long")
	ErrHurried      = errors.New("service: a second signal came during the drain")
)

// Part is a part of a process. Its Run returns once intake has ended and its
// work in hand is done, or soon after work has ended.
type Part struct {
	Name string
	Run  func(intake, work context.Context) error
}

// Run runs the parts until all of them have returned, and returns their errors.
// The intake context also ends when parent ends, or when a part fails. drain is
// the longest time between the ends of the two contexts.
func Run(parent context.Context, drain time.Duration, parts ...Part) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	defer signal.Stop(signals)
	return WithFloor(func() error { return run(parent, drain, signals, parts) })
}

// OutliveReaders lets this process go on when what reads its stdout or stderr is
// gone: the write fails, and what was to be logged is dropped. By default Go ends
// the process by SIGPIPE, without a drain. Programs that it starts are not
// affected.
func OutliveReaders() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

func run(parent context.Context, drain time.Duration, signals <-chan os.Signal, parts []Part) error {
	intake, stopIntake := context.WithCancel(parent)
	defer stopIntake()
	work, stopWork := context.WithCancelCause(context.WithoutCancel(parent))
	defer stopWork(nil)

	var wg sync.WaitGroup
	errs := make([]error, len(parts))
	for i, p := range parts {
		wg.Go(func() {
			if err := p.Run(intake, work); err != nil {
				errs[i] = fmt.Errorf("%s: %w", p.Name, err)
				stopIntake()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()

	select {
	case <-done:
	case <-signals:
	case <-intake.Done():
	}
	stopIntake()
	timeout := time.NewTimer(drain)
	defer timeout.Stop()
	for {
		select {
		case <-done:
			return errors.Join(errs...)
		case <-timeout.C:
			stopWork(ErrDrainTimeout)
		case s := <-signals:
			if s == syscall.SIGHUP {
				continue
			}
			stopWork(ErrHurried)
		}
		<-done
		return errors.Join(errs...)
	}
}
