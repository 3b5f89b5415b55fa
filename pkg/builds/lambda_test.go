package builds_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// lambda is an in-memory control plane that counts its calls, functions and
// layer versions.
type lambda struct {
	mu        sync.Mutex
	functions map[string]*made
	versions  map[string][]string // published ARNs by the layer's name
	creates   map[string]int      // creates that succeeded, by the function's name
	calls     map[string]int      // by op
	log       []string            // ops and names of the paced calls, in order

	// hook, where set, is called before each call, and may fail it or hang.
	hook func(ctx context.Context, w *worker, op, name string) error
	// after, where set, is called once the call has taken effect.
	after func(ctx context.Context, w *worker, op, name string) error
}

type made struct {
	spec   function.Spec
	active time.Time
	failed bool
}

func newLambda() *lambda {
	return &lambda{
		functions: map[string]*made{}, versions: map[string][]string{},
		creates: map[string]int{}, calls: map[string]int{},
	}
}

// caller is the connection of one worker to lambda.
type caller struct {
	*lambda
	w *worker
}

type hook = func(ctx context.Context, w *worker, op, name string) error

func (l *lambda) set(before, after hook) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hook, l.after = before, after
}

func (c *caller) call(ctx context.Context, op, name string, effect func() error) error {
	c.mu.Lock()
	before := c.hook
	c.calls[op]++
	c.mu.Unlock()
	if before != nil {
		if err := before(ctx, c.w, op, name); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !c.w.running() {
		return errAway
	}
	c.mu.Lock()
	if op != "Await" {
		c.log = append(c.log, op+" "+name)
	}
	err := effect()
	after := c.after
	c.mu.Unlock()
	if after != nil {
		if broken := after(ctx, c.w, op, name); broken != nil {
			err = broken
		}
	}
	if !c.w.running() {
		return errAway
	}
	return err
}

func (c *caller) FindLayer(ctx context.Context, name string) (arn string, err error) {
	err = c.call(ctx, "FindLayer", name, func() error {
		versions := c.versions[name]
		if len(versions) == 0 {
			return serviceError("FindLayer", function.NotFound)
		}
		arn = versions[len(versions)-1]
		return nil
	})
	return arn, err
}

func (c *caller) PublishLayer(ctx context.Context, l function.LayerSpec) (arn string, err error) {
	err = c.call(ctx, "PublishLayer", l.Name, func() error {
		arn = fmt.Sprintf("arn:layer:%s:%d", l.Name, len(c.versions[l.Name])+1)
		c.versions[l.Name] = append(c.versions[l.Name], arn)
		return nil
	})
	return arn, err
}

func (c *caller) Create(ctx context.Context, s function.Spec) error {
	return c.call(ctx, "Create", s.Name, func() error {
		if c.functions[s.Name] != nil {
			return serviceError("Create", function.Conflict)
		}
		for _, arn := range s.LayerARNs {
			if !c.hasLayer(arn) {
				return serviceError("Create", function.NotFound)
			}
		}
		c.functions[s.Name] = &made{spec: s, active: time.Now().Add(startTime)}
		c.creates[s.Name]++
		return nil
	})
}

func (c *caller) hasLayer(arn string) bool {
	for _, versions := range c.versions {
		for _, v := range versions {
			if v == arn {
				return true
			}
		}
	}
	return false
}

func (c *caller) Await(ctx context.Context, name string) error {
	var wait time.Duration
	err := c.call(ctx, "Await", name, func() error {
		f := c.functions[name]
		switch {
		case f == nil:
			return serviceError("Await", function.NotFound)
		case f.failed:
			return serviceError("Await", function.BadState)
		}
		wait = time.Until(f.active)
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *caller) Delete(ctx context.Context, name string) error {
	return c.call(ctx, "Delete", name, func() error {
		if c.functions[name] == nil {
			return serviceError("Delete", function.NotFound)
		}
		delete(c.functions, name)
		return nil
	})
}

func (c *caller) List(context.Context) ([]function.Info, error) { return nil, nil }

// created returns how many functions were created and how many layer versions
// were published.
func (l *lambda) created() (functions, layers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.creates {
		functions += n
	}
	for _, v := range l.versions {
		layers += len(v)
	}
	return functions, layers
}

func (l *lambda) called(op string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[op]
}
