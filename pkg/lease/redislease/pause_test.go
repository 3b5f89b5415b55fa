package redislease

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
)

const (
	pausedTTL = time.Second
	addrOf    = "REDISLEASE_TEST_ADDR" // set in the process that is paused
)

// TestMain runs holdAndWatch, for the test that pauses this binary, where
// addrOf is set.
func TestMain(m *testing.M) {
	if addr := os.Getenv(addrOf); addr != "" {
		holdAndWatch(addr)
		return
	}
	os.Exit(m.Run())
}

func TestProcessPausedPastItsLeaseKnowsWhenItWakes(t *testing.T) {
	addr := redistest.Start(t).Addr
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), addrOf+"="+addr)
	holder.Stderr = os.Stderr
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { holder.Process.Kill(); holder.Wait() })
	says := bufio.NewScanner(out)
	expect := func(want string) {
		t.Helper()
		if !says.Scan() || says.Text() != want {
			t.Fatalf("the holder says %q, want %q", says.Text(), want)
		}
	}
	expect("held and renewed")
	holder.Process.Signal(syscall.SIGSTOP)
	leases := New(redistest.Connect(t, addr), "test")
	wait.Until(t, 20*pausedTTL, "the lease of a paused process does not run out", func() bool {
		_, err := leases.Acquire(t.Context(), "k", "other", time.Minute)
		return err == nil
	})
	holder.Process.Signal(syscall.SIGCONT)
	expect("woke: valid false")
}

// holdAndWatch holds the lease for longer than its TTL, then loops until it
// sees that it was paused. A timer may have ended the hold by then; package
// lease tests that Valid needs no timer.
func holdAndWatch(addr string) {
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	hold, err := lease.Take(context.Background(), New(rdb, "test"), "k", "holder", pausedTTL)
	if err != nil {
		fmt.Println(err)
		return
	}
	const paused = pausedTTL / 2
	last := time.Now() // each round compares with the round before, so that a pause is always seen
	for told, began := false, last; ; {
		now := time.Now()
		woke := told && now.Sub(last) > paused // before that, a busy machine may have held it up
		last = now
		switch valid := hold.Valid(); {
		case woke, !valid && time.Since(last) > paused:
			fmt.Println("woke: valid", valid)
			return
		case !valid:
			fmt.Println("lost without a pause")
			return
		case !told && now.Sub(began) > pausedTTL*5/4:
			told = true
			fmt.Println("held and renewed")
		}
	}
}
