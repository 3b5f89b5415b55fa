// Package leasetest holds implementations of lease.Leases to their contract.
package leasetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/lease"
)

// Env is one implementation under test, with nothing granted.
type Env struct {
	Leases lease.Leases
	Pass   func(d time.Duration) // moves the clock of the leases by d
	Flush  func()                // removes all that the implementation has stored
}

const ttl = 30 * time.Second

// Run runs the contract. It calls run for each of its tests; run makes a fresh
// Env and calls test with it, inside a synctest bubble if the implementation is
// in memory.
func Run(t *testing.T, run func(t *testing.T, test func(t *testing.T, e Env))) {
	for name, test := range map[string]func(*testing.T, Env){
		"AcquireIsRefusedWhileAnotherHolds":      refusesSecondOwner,
		"AnOwnerIsHeldAgainstItself":             refusesSameOwner,
		"ALeaseThatRanOutIsGrantedToAnother":     grantsAfterExpiry,
		"RenewMakesItLast":                       renewExtends,
		"RenewFailsOnceAnotherWasGranted":        renewAfterOther,
		"RenewRevivesALeaseThatNoOtherOwnerTook": renewRevives,
		"RenewFailsAfterRelease":                 renewAfterRelease,
		"ReleaseFreesTheKey":                     releaseFrees,
		"ReleaseOfALostLeaseLeavesTheOtherAlone": releaseLost,
		"FencesRise":                             fencesRise,
		"OnlyTheFirstGrantIsTheFirst":            firstIsFirst,
		"FencesRiseAcrossAFlush":                 fencesRiseAcrossFlush,
		"RenewSurvivesAFlush":                    renewAcrossFlush,
		"RenewIsLostToAGrantAfterAFlush":         renewLostAfterFlush,
		"KeysAreIndependent":                     keysAreIndependent,
		"OwnersMayContainSpaces":                 oddOwners,
		"AnEndedContextIsAnError":                endedContext,
	} {
		t.Run(name, func(t *testing.T) { run(t, test) })
	}
}

func refusesSecondOwner(t *testing.T, e Env) {
	acquire(t, e, "k", "a")
	e.Pass(ttl / 3)
	h := refuse(t, e, "k", "b")
	if h.Owner != "a" || h.Key != "k" {
		t.Errorf("held by %q on %q, want a on k", h.Owner, h.Key)
	}
	if h.Left <= ttl/2 || h.Left > ttl*2/3+time.Second {
		t.Errorf("%s left, want about %s", h.Left, ttl*2/3)
	}
}

func refusesSameOwner(t *testing.T, e Env) {
	acquire(t, e, "k", "a")
	refuse(t, e, "k", "a")
}

func grantsAfterExpiry(t *testing.T, e Env) {
	acquire(t, e, "k", "a")
	e.Pass(ttl + time.Second)
	acquire(t, e, "k", "b")
}

func renewExtends(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	for range 3 {
		e.Pass(ttl * 2 / 3)
		renew(t, e, l)
	}
	refuse(t, e, "k", "b")
	e.Pass(ttl + time.Second)
	acquire(t, e, "k", "b")
}

func renewAfterOther(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	e.Pass(ttl + time.Second)
	acquire(t, e, "k", "b")
	renewLost(t, e, l)
	e.Pass(ttl + time.Second) // b's lease runs out too, which does not bring a's back
	renewLost(t, e, l)
}

func renewRevives(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	e.Pass(ttl + time.Second)
	renew(t, e, l)
	refuse(t, e, "k", "b")
}

func renewAfterRelease(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	release(t, e, l)
	renewLost(t, e, l)
	acquire(t, e, "k", "b")
}

func releaseFrees(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	release(t, e, l)
	release(t, e, l)
	acquire(t, e, "k", "b")
}

func releaseLost(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	e.Pass(ttl + time.Second)
	acquire(t, e, "k", "b")
	release(t, e, l)
	refuse(t, e, "k", "c")
	release(t, e, lease.Lease{Key: "k", Owner: "b", Fence: l.Fence}) // the fence of a, but another owner
	refuse(t, e, "k", "c")
}

func fencesRise(t *testing.T, e Env) {
	last := int64(0)
	for range 20 {
		l := acquire(t, e, "k", "a")
		if l.Fence <= last {
			t.Fatalf("fence %d after %d", l.Fence, last)
		}
		last = l.Fence
		release(t, e, l)
	}
	l := acquire(t, e, "k", "a")
	e.Pass(ttl + time.Second)
	if m := acquire(t, e, "k", "b"); m.Fence <= l.Fence {
		t.Fatalf("fence %d after %d", m.Fence, l.Fence)
	}
}

func firstIsFirst(t *testing.T, e Env) {
	a := acquire(t, e, "k", "a")
	if !a.First {
		t.Error("the first grant does not say that it is")
	}
	if other := acquire(t, e, "other", "a"); !other.First {
		t.Error("another key's first grant does not say that it is")
	}
	e.Pass(ttl + time.Second)
	if b := acquire(t, e, "k", "b"); b.First {
		t.Error("a grant after one that ran out says that it is the first")
	} else {
		release(t, e, b)
	}
	if c := acquire(t, e, "k", "c"); c.First {
		t.Error("a grant after one that was released says that it is the first")
	}
	e.Flush()
	if d := acquire(t, e, "k", "d"); !d.First {
		t.Error("after a flush no earlier grant is known")
	}
}

func fencesRiseAcrossFlush(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	e.Flush()
	e.Pass(time.Millisecond)
	if m := acquire(t, e, "k", "b"); m.Fence <= l.Fence {
		t.Fatalf("fence %d after %d", m.Fence, l.Fence)
	}
}

func renewAcrossFlush(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	e.Flush()
	renew(t, e, l)
	refuse(t, e, "k", "b")
	release(t, e, l)
	if m := acquire(t, e, "k", "b"); m.Fence <= l.Fence {
		t.Fatalf("fence %d after %d", m.Fence, l.Fence)
	}
}

func renewLostAfterFlush(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	e.Flush()
	e.Pass(time.Millisecond)
	m := acquire(t, e, "k", "b")
	renewLost(t, e, l)
	release(t, e, m)
	renewLost(t, e, l)
}

func keysAreIndependent(t *testing.T, e Env) {
	l := acquire(t, e, "k", "a")
	acquire(t, e, "k2", "a")
	release(t, e, l)
	refuse(t, e, "k2", "b")
}

func oddOwners(t *testing.T, e Env) {
	l := acquire(t, e, "build/env/x y:{z}", "worker 1/7 of 9")
	if h := refuse(t, e, l.Key, "b"); h.Owner != l.Owner {
		t.Errorf("held by %q, want %q", h.Owner, l.Owner)
	}
	renew(t, e, l)
	release(t, e, l)
	acquire(t, e, l.Key, "b")
}

func endedContext(t *testing.T, e Env) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Leases.Acquire(ctx, "k", "a", ttl); !errors.Is(err, context.Canceled) {
		t.Errorf("acquire: %v, want context.Canceled", err)
	}
	if err := e.Leases.Renew(ctx, lease.Lease{Key: "k"}, ttl); !errors.Is(err, context.Canceled) {
		t.Errorf("renew: %v, want context.Canceled", err)
	}
}

func acquire(t *testing.T, e Env, key, owner string) lease.Lease {
	t.Helper()
	l, err := e.Leases.Acquire(t.Context(), key, owner, ttl)
	if err != nil {
		t.Fatalf("acquire %s for %s: %v", key, owner, err)
	}
	if l.Key != key || l.Owner != owner || l.Fence <= 0 {
		t.Fatalf("acquire %s for %s: got %+v", key, owner, l)
	}
	return l
}

func refuse(t *testing.T, e Env, key, owner string) *lease.HeldError {
	t.Helper()
	_, err := e.Leases.Acquire(t.Context(), key, owner, ttl)
	var held *lease.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("acquire %s for %s: %v, want a HeldError", key, owner, err)
	}
	return held
}

func renew(t *testing.T, e Env, l lease.Lease) {
	t.Helper()
	if err := e.Leases.Renew(t.Context(), l, ttl); err != nil {
		t.Fatalf("renew %+v: %v", l, err)
	}
}

func renewLost(t *testing.T, e Env, l lease.Lease) {
	t.Helper()
	if err := e.Leases.Renew(t.Context(), l, ttl); !errors.Is(err, lease.ErrLost) {
		t.Fatalf("renew %+v: %v, want ErrLost", l, err)
	}
}

func release(t *testing.T, e Env, l lease.Lease) {
	t.Helper()
	if err := e.Leases.Release(t.Context(), l); err != nil {
		t.Fatalf("release %+v: %v", l, err)
	}
}
