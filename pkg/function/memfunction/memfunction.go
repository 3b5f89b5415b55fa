// Package memfunction is a function service in memory, for tests and the
// simulation of the fleet. It has Lambda's states and conflicts, executes no
// script, and records every call. A test decides by a [Behaviour] how calls go.
//
// It uses package time, and so runs under testing/synctest.
package memfunction

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// Config configures the service.
type Config struct {
	// Pending is how long a function is Pending after Create, and after an
	// invocation that wakes an Inactive one.
	Pending time.Duration
	// Behave decides how each call goes. No lock is held meanwhile, so it may
	// call the service. Nil lets every call succeed at once.
	Behave func(Call) Behaviour
}

// Call is a recorded call.
type Call struct {
	Op      string // Invoke, Create, PublishLayer, FindLayer, Await, Delete, List
	Name    string // of the function or layer
	Tenant  string // of Invoke
	Payload []byte // of Invoke
	Nth     int    // 1 for the first call of this Op with this Name
	At      time.Time
}

// Functions is the service. It is safe for concurrent use.
type Functions struct {
	mu        sync.Mutex
	cfg       Config
	functions map[string]*made
	layers    map[string]int // versions published
	calls     []Call
	nth       map[[2]string]int
	executed  []Call
	creates   map[string]int
}

// made is a created function.
type made struct {
	spec     function.Spec
	state    string
	activeAt time.Time // when a Pending function becomes Active
	modified time.Time
}

var (
	_ function.Maker   = (*Functions)(nil)
	_ function.Invoker = (*Functions)(nil)
)

// New returns a service without functions.
func New(cfg Config) *Functions {
	return &Functions{
		cfg:       cfg,
		functions: map[string]*made{},
		layers:    map[string]int{},
		nth:       map[[2]string]int{},
		creates:   map[string]int{},
	}
}

// SetBehave replaces Config.Behave for later calls.
func (f *Functions) SetBehave(behave func(Call) Behaviour) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cfg.Behave = behave
}

// SetState puts a function into a state: Active, Inactive, Failed, or Pending
// without end.
func (f *Functions) SetState(name, state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.functions[name]; m != nil {
		m.state, m.activeAt = state, time.Now().Add(1000*time.Hour)
	}
}

// Calls returns the recorded calls of an Op in order of arrival, or of all Ops
// if op is empty.
func (f *Functions) Calls(op string) []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []Call
	for _, c := range f.calls {
		if op == "" || c.Op == op {
			calls = append(calls, c)
		}
	}
	return calls
}

// Executions returns the invocations that executed their script, those with an
// Ambiguous end included.
func (f *Functions) Executions() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.executed)
}

// Creates counts how often a function of the name was created.
func (f *Functions) Creates(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.creates[name]
}

// Publishes counts the layer's versions.
func (f *Functions) Publishes(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.layers[name]
}

// Spec returns the Spec with which the function was created.
func (f *Functions) Spec(name string) (function.Spec, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.functions[name]
	if !ok {
		return function.Spec{}, false
	}
	return m.spec, true
}

// arrive records the call, waits out its delay, and fails if the Behaviour
// wants a failure without effect.
func (f *Functions) arrive(ctx context.Context, c Call) (Call, Behaviour, error) {
	f.mu.Lock()
	key := [2]string{c.Op, c.Name}
	f.nth[key]++
	c.Nth, c.At = f.nth[key], time.Now()
	f.calls = append(f.calls, c)
	behave := f.cfg.Behave
	f.mu.Unlock()

	var b Behaviour
	if behave != nil {
		b = behave(c)
	}
	if ctx.Err() != nil {
		return c, b, fail(c, function.Unsent, "NotConnected", context.Cause(ctx))
	}
	if b.Fault != "" && !b.Executes {
		if err := b.last(ctx, c); err != nil {
			return c, b, err
		}
		return c, b, b.fault(c)
	}
	return c, b, nil
}

// depart ends a call that has taken effect.
func (b Behaviour) depart(ctx context.Context, c Call) error {
	if err := b.last(ctx, c); err != nil {
		return err
	}
	if b.Fault != "" {
		return b.fault(c)
	}
	return nil
}

// last waits out the call's delay. If ctx ends first, the outcome is Ambiguous.
func (b Behaviour) last(ctx context.Context, c Call) error {
	if b.Duration <= 0 {
		return nil
	}
	timer := time.NewTimer(b.Duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fail(c, function.Ambiguous, "ConnectionBroken", context.Cause(ctx))
	}
}

func (b Behaviour) fault(c Call) error {
	reason := b.Reason
	if reason == "" {
		reason = "Injected"
	}
	return fail(c, b.Fault, reason, fmt.Errorf("a test made call %d fail", c.Nth))
}

func fail(c Call, class function.Class, reason string, err error) error {
	return &function.Error{Class: class, Op: c.Op, Name: c.Name, Reason: reason, Err: err}
}
