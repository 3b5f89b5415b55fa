package redislease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
)

// Concurrent clients acquire, renew and release a few keys, also late and
// twice, and let leases run out. The history of their calls must be
// linearizable: some order of the calls, one at a time, explains all answers.

func TestHistoriesAreLinearizable(t *testing.T) {
	rdb := redistest.Connect(t, redistest.Start(t).Addr)
	for round := range 5 {
		history := record(t, New(rdb, fmt.Sprint("good", round)))
		if got := porcupine.CheckOperationsTimeout(register, history, time.Minute); got != porcupine.Ok {
			t.Fatalf("round %d: the history of %d operations is %s", round, len(history), got)
		}
	}
}

// The check must find the faults of broken leases.
func TestHistoriesOfBrokenLeasesAreNot(t *testing.T) {
	rdb := redistest.Connect(t, redistest.Start(t).Addr)
	for name, broken := range map[string]func(*Leases) lease.Leases{
		"release without compare": func(l *Leases) lease.Leases { return carelessRelease{l, rdb} },
		"renew without compare":   func(l *Leases) lease.Leases { return carelessRenew{l, rdb} },
		"acquire without NX":      func(l *Leases) lease.Leases { return carelessAcquire{l, rdb} },
		"fences that repeat":      func(l *Leases) lease.Leases { return constantFence{l} },
		"a ttl cut short":         func(l *Leases) lease.Leases { return shortTTL{l} },
	} {
		t.Run(name, func(t *testing.T) {
			for round := range 20 {
				history := record(t, broken(New(rdb, fmt.Sprint(name, round))))
				if porcupine.CheckOperationsTimeout(register, history, time.Minute) == porcupine.Illegal {
					return
				}
			}
			t.Error("20 histories passed as linearizable")
		})
	}
}

const (
	clients    = 5
	operations = 120 // of each client
	keys       = 2
	shortest   = 4 * time.Millisecond // shortest TTL
	slack      = 3 * time.Millisecond // tolerance: the server reads its clock once a command, in whole ms
)

type input struct {
	op    string
	lease lease.Lease // key and owner for an acquire
	ttl   time.Duration
	// When the operation was called and when it returned. It took effect in
	// between, and its TTL counts from there.
	called, returned time.Duration
}

type output struct {
	fence  int64
	lost   bool
	heldBy string
}

// state is the last grant of a key.
type state struct {
	owner           string
	fence           int64
	released        bool
	mayEnd, mustEnd time.Duration // earliest and latest time at which the lease runs out
}

var register = porcupine.Model{
	Partition: byKey,
	Init:      func() any { return state{released: true} },
	Step: func(s, in, out any) (bool, any) {
		return s.(state).step(in.(input), out.(output))
	},
}

func (s state) step(in input, out output) (bool, any) {
	mine := s.owner == in.lease.Owner && s.fence == in.lease.Fence
	switch {
	case in.op == "acquire" && out.heldBy != "":
		return !s.released && out.heldBy == s.owner && in.called <= s.mustEnd, s
	case in.op == "acquire":
		free := s.released || in.returned >= s.mayEnd
		next := state{owner: in.lease.Owner, fence: out.fence}
		return free && out.fence > s.fence, next.lasting(in)
	case in.op == "renew" && out.lost:
		return !mine || s.released, s
	case in.op == "renew":
		return mine && !s.released, s.lasting(in)
	default: // release
		s.released = s.released || mine
		return true, s
	}
}

func (s state) lasting(in input) state {
	s.mayEnd, s.mustEnd = in.called+in.ttl-slack, in.returned+in.ttl+slack
	return s
}

func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	for _, op := range history {
		key := op.Input.(input).lease.Key
		parts[key] = append(parts[key], op)
	}
	var list [][]porcupine.Operation
	for _, part := range parts {
		list = append(list, part)
	}
	return list
}

// record runs the clients and returns their operations.
func record(t *testing.T, leases lease.Leases) []porcupine.Operation {
	t.Helper()
	var (
		mu      sync.Mutex
		history []porcupine.Operation
		wg      sync.WaitGroup
		start   = time.Now()
	)
	for client := range clients {
		wg.Go(func() {
			c := caller{leases: leases, id: client, start: start}
			for range operations {
				op := c.next()
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
				if c.err != nil {
					t.Error(c.err)
					return
				}
			}
		})
	}
	wg.Wait()
	return history
}

// caller is a client. It keeps all leases that it was granted, and uses them
// again even after they are lost.
type caller struct {
	leases lease.Leases
	id     int
	start  time.Time
	grants []lease.Lease
	made   int
	err    error
}

func (c *caller) next() porcupine.Operation {
	in := c.choose()
	in.called = time.Since(c.start)
	out := c.call(in)
	in.returned = time.Since(c.start)
	return porcupine.Operation{
		ClientId: c.id, Input: in, Output: out,
		Call: in.called.Nanoseconds(), Return: in.returned.Nanoseconds(),
	}
}

func (c *caller) choose() input {
	in := input{op: "acquire", ttl: shortest * time.Duration(1+rand.IntN(3))}
	if len(c.grants) > 0 {
		in.op = []string{"acquire", "acquire", "renew", "release"}[rand.IntN(4)]
	}
	if in.op == "acquire" {
		c.made++
		in.lease = lease.Lease{Key: fmt.Sprint("k", rand.IntN(keys)), Owner: fmt.Sprintf("%d/%d", c.id, c.made)}
		return in
	}
	recent := c.grants[max(0, len(c.grants)-3):]
	in.lease = recent[rand.IntN(len(recent))]
	return in
}

func (c *caller) call(in input) (out output) {
	ctx := context.Background()
	var err error
	switch in.op {
	case "acquire":
		var l lease.Lease
		l, err = c.leases.Acquire(ctx, in.lease.Key, in.lease.Owner, in.ttl)
		var held *lease.HeldError
		if errors.As(err, &held) {
			return output{heldBy: held.Owner}
		}
		out.fence = l.Fence
		c.grants = append(c.grants, l)
	case "renew":
		err = c.leases.Renew(ctx, in.lease, in.ttl)
		if errors.Is(err, lease.ErrLost) {
			return output{lost: true}
		}
	case "release":
		err = c.leases.Release(ctx, in.lease)
	}
	c.err = err
	return out
}

type carelessRelease struct {
	*Leases
	rdb *redis.Client
}

func (b carelessRelease) Release(ctx context.Context, l lease.Lease) error {
	return b.rdb.Del(ctx, b.keys(l.Key)[0]).Err()
}

type carelessRenew struct {
	*Leases
	rdb *redis.Client
}

func (b carelessRenew) Renew(ctx context.Context, l lease.Lease, ttl time.Duration) error {
	return b.rdb.Set(ctx, b.keys(l.Key)[0], fmt.Sprint(l.Fence, " ", l.Owner), ttl).Err()
}

type carelessAcquire struct {
	*Leases
	rdb *redis.Client
}

func (b carelessAcquire) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (lease.Lease, error) {
	if err := b.rdb.Del(ctx, b.keys(key)[0]).Err(); err != nil {
		return lease.Lease{}, err
	}
	return b.Leases.Acquire(ctx, key, owner, ttl)
}

type constantFence struct{ *Leases }

func (b constantFence) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (lease.Lease, error) {
	l, err := b.Leases.Acquire(ctx, key, owner, ttl)
	if err == nil {
		l.Fence = 7
	}
	return l, err
}

type shortTTL struct{ *Leases }

func (b shortTTL) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (lease.Lease, error) {
	return b.Leases.Acquire(ctx, key, owner, ttl/4)
}
