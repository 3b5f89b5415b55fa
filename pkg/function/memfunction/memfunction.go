// Package memfunction is a function service in memory, for tests and the
// simulation of the fleet. It keeps Lambda's states and conflicts, executes
// nothing, and remembers every call. A test says how calls go by a [Behaviour].
//
// Time is that of package time, so that it runs under testing/synctest.
package memfunction

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// Config says how the service behaves.
type Config struct {
	// Pending is how long a function is Pending after Create, and after the
	// invocation that wakes an Inactive one.
	Pending time.Duration
	// Behave decides how each call goes. It is called with nothing held, so it
	// may call back. Nil lets every call succeed at once.
	Behave func(Call) Behaviour
}

// Call is a call that arrived.
type Call struct {
	Op      string // Invoke, Create, PublishLayer, FindLayer, Await, Delete, List
	Name    string // of the function or layer
	Tenant  string // of Invoke
	Payload []byte // of Invoke
	Nth     int    // 1 for the first call of this Op for this Name
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

// made is a function that was created.
type made struct {
	spec     function.Spec
	state    string
	activeAt time.Time // of a Pending one
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

// SetBehave changes how calls go from now on.
func (f *Functions) SetBehave(behave func(Call) Behaviour) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cfg.Behave = behave
}

// SetState puts a function into a state: Active, Inactive, Failed, or Pending,
// in which it then stays.
func (f *Functions) SetState(name, state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.functions[name]; m != nil {
		m.state, m.activeAt = state, time.Now().Add(1000*time.Hour)
	}
}

// Calls returns the calls of an Op that arrived, in their order; every Op's
// where op is empty.
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

// Executions returns the invocations whose script was executed, those with an
// ambiguous end included.
func (f *Functions) Executions() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.executed)
}

// Creates tells how often a function of the name was made.
func (f *Functions) Creates(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.creates[name]
}

// Publishes tells how many versions the layer has.
func (f *Functions) Publishes(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.layers[name]
}

// Spec returns the function as it was created.
func (f *Functions) Spec(name string) (function.Spec, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.functions[name]
	if !ok {
		return function.Spec{}, false
	}
	return m.spec, true
}

// arrive notes the call and has it behave: it takes its time, and fails where
// it shall fail before anything was done.
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

// depart ends a call that was done.
func (b Behaviour) depart(ctx context.Context, c Call) error {
	if err := b.last(ctx, c); err != nil {
		return err
	}
	if b.Fault != "" {
		return b.fault(c)
	}
	return nil
}

// last takes the call's time. A ctx that ends first leaves the outcome unknown.
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
