// Package service starts the running parts of a process and drains them.
//
// There are two contexts. The first ends with SIGTERM, SIGINT or SIGHUP and stops
// the intake: each part then finishes what it has in hand and returns. The second
// ends when the drain has lasted too long, or with a second SIGTERM or SIGINT, and
// stops the work itself. A terminal that closes sends SIGHUP more than once, so
// that one never hurries; a process that was started to ignore it, as by nohup,
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

// ErrDrainTimeout is the cause with which the second context ends when the
// drain took too long; ErrHurried is that of a second signal.
var (
	ErrDrainTimeout = errors.New("service: the drain took too long")
	ErrHurried      = errors.New("service: a second signal came during the drain")
)

// Part is one running part. Its run returns when intake ends and what it has in
// hand is done, or soon after work ends.
type Part struct {
	Name string
	Run  func(intake, work context.Context) error
}

// Run runs the parts until all of them have returned. parent ends the intake
// too, as does the failure of any part, whose error is then returned.
func Run(parent context.Context, drain time.Duration, parts ...Part) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	defer signal.Stop(signals)
	return run(parent, drain, signals, parts)
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
