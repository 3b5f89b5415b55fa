package service

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
)

func TestTheIntakeStopsFirstAndTheWorkIsLetFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		finished := false
		go func() { <-time.After(time.Minute); cancel() }()
		err := run(ctx, time.Minute, nil, []Part{{"worker", func(intake, work context.Context) error {
			<-intake.Done()
			select {
			case <-work.Done():
			case <-time.After(30 * time.Second):
				finished = true
			}
			return nil
		}}})
		if err != nil || !finished {
			t.Fatalf("err %v, finished %v", err, finished)
		}
	})
}

func TestTheWorkIsStoppedWhenTheDrainTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		var cause error
		_ = run(ctx, 20*time.Second, nil, []Part{{"worker", func(_, work context.Context) error {
			<-work.Done()
			cause = context.Cause(work)
			return nil
		}}})
		if !errors.Is(cause, ErrDrainTimeout) || time.Since(start) != 20*time.Second {
			t.Fatalf("cause %v after %v", cause, time.Since(start))
		}
	})
}

func TestAPartThatFailsStopsTheOthers(t *testing.T) {
	boom := errors.New("boom")
	err := Run(t.Context(), time.Minute,
		Part{"bad", func(context.Context, context.Context) error { return boom }},
		Part{"good", func(intake, _ context.Context) error { <-intake.Done(); return nil }})
	if !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
}

func TestASignalStopsTheIntakeAndASecondTheWork(t *testing.T) {
	err := Run(t.Context(), time.Hour, Part{"worker", func(intake, work context.Context) error {
		kill(t, syscall.SIGTERM)
		<-intake.Done()
		kill(t, syscall.SIGTERM)
		<-work.Done()
		return context.Cause(work)
	}})
	if !errors.Is(err, ErrHurried) {
		t.Fatalf("got %v", err)
	}
}

func TestATerminalThatClosesStopsTheIntakeAndHurriesNothing(t *testing.T) {
	process.HeedHangups()
	err := Run(t.Context(), time.Hour, Part{"worker", func(intake, work context.Context) error {
		kill(t, syscall.SIGHUP)
		<-intake.Done()
		for range 5 {
			kill(t, syscall.SIGHUP)
		}
		select {
		case <-work.Done():
			return context.Cause(work)
		case <-time.After(100 * time.Millisecond):
			return nil
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func kill(t *testing.T, s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Error(err)
	}
}
