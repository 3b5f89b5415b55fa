package memfunction

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// The states of a function.
const (
	Pending  = "Pending"
	Active   = "Active"
	Inactive = "Inactive"
	Failed   = "Failed"
)

var errNone = errors.New("there is none")

func (f *Functions) FindLayer(ctx context.Context, name string) (string, error) {
	c, b, err := f.arrive(ctx, Call{Op: "FindLayer", Name: name})
	if err != nil {
		return "", err
	}
	f.mu.Lock()
	version := f.layers[name]
	f.mu.Unlock()
	if err := b.depart(ctx, c); err != nil {
		return "", err
	}
	if version == 0 {
		return "", fail(c, function.NotFound, "NoVersions", errNone)
	}
	return arn(name, version), nil
}

func arn(layer string, version int) string {
	return fmt.Sprintf("arn:aws:lambda:us-east-1:123456789012:layer:%s:%d", layer, version)
}

// PublishLayer publishes at the end of the call's delay.
func (f *Functions) PublishLayer(ctx context.Context, l function.LayerSpec) (string, error) {
	c, b, err := f.arrive(ctx, Call{Op: "PublishLayer", Name: l.Name})
	if err != nil {
		return "", err
	}
	if err := b.last(ctx, c); err != nil {
		return "", err
	}
	f.mu.Lock()
	f.layers[l.Name]++
	version := f.layers[l.Name]
	f.mu.Unlock()
	if b.Fault != "" {
		return "", b.fault(c)
	}
	return arn(l.Name, version), nil
}

// Create makes the function at the end of the call's delay.
func (f *Functions) Create(ctx context.Context, s function.Spec) error {
	c, b, err := f.arrive(ctx, Call{Op: "Create", Name: s.Name})
	if err != nil {
		return err
	}
	if err := b.last(ctx, c); err != nil {
		return err
	}
	if err := f.create(c, s); err != nil {
		return err
	}
	if b.Fault != "" {
		return b.fault(c)
	}
	return nil
}

func (f *Functions) create(c Call, s function.Spec) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.functions[s.Name] != nil {
		return fail(c, function.Conflict, "ResourceConflictException", errors.New("function already exists"))
	}
	for _, layer := range s.LayerARNs {
		if !f.published(layer) {
			return fail(c, function.NotFound, "InvalidParameterValueException", fmt.Errorf("layer version %s does not exist", layer))
		}
	}
	now := time.Now()
	f.functions[s.Name] = &made{spec: s, state: Pending, activeAt: now.Add(f.cfg.Pending), modified: now}
	f.creates[s.Name]++
	return nil
}

func (f *Functions) published(layerARN string) bool {
	for name, versions := range f.layers {
		for v := 1; v <= versions; v++ {
			if layerARN == arn(name, v) {
				return true
			}
		}
	}
	return false
}

// look returns the function's current state, or "" if there is no such
// function. The caller holds f.mu.
func (f *Functions) look(name string) (state string, left time.Duration) {
	m := f.functions[name]
	if m == nil {
		return "", 0
	}
	if m.state == Pending {
		if left = time.Until(m.activeAt); left <= 0 {
			m.state, left = Active, 0
		}
	}
	return m.state, left
}

// Await polls every 20 ms.
func (f *Functions) Await(ctx context.Context, name string) error {
	c, b, err := f.arrive(ctx, Call{Op: "Await", Name: name})
	if err != nil {
		return err
	}
	if err := b.depart(ctx, c); err != nil {
		return err
	}
	for {
		f.mu.Lock()
		state, left := f.look(name)
		f.mu.Unlock()
		switch state {
		case "":
			return fail(c, function.NotFound, "ResourceNotFoundException", errNone)
		case Failed:
			return fail(c, function.BadState, "InternalError", errors.New("the function could not be made"))
		case Active, Inactive:
			return nil
		}
		select {
		case <-time.After(min(left, 20*time.Millisecond)):
		case <-ctx.Done():
			return fail(c, function.NotReady, "StillPending", context.Cause(ctx))
		}
	}
}

func (f *Functions) Delete(ctx context.Context, name string) error {
	c, b, err := f.arrive(ctx, Call{Op: "Delete", Name: name})
	if err != nil {
		return err
	}
	f.mu.Lock()
	_, there := f.functions[name]
	delete(f.functions, name)
	f.mu.Unlock()
	if err := b.depart(ctx, c); err != nil {
		return err
	}
	if !there {
		return fail(c, function.NotFound, "ResourceNotFoundException", errNone)
	}
	return nil
}

func (f *Functions) List(ctx context.Context) ([]function.Info, error) {
	c, b, err := f.arrive(ctx, Call{Op: "List"})
	if err != nil {
		return nil, err
	}
	if err := b.depart(ctx, c); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var infos []function.Info
	for name, m := range f.functions {
		state, _ := f.look(name)
		infos = append(infos, function.Info{Name: name, Runtime: m.spec.Runtime, State: state,
			Description: m.spec.Description, CodeBytes: int64(len(m.spec.Code)), LastModified: m.modified})
	}
	slices.SortFunc(infos, func(a, b function.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// Invoke records the execution at its beginning, so that a call that fails
// later counts as executed too.
func (f *Functions) Invoke(ctx context.Context, tenant, name string, payload []byte) (function.Invocation, error) {
	c, b, err := f.arrive(ctx, Call{Op: "Invoke", Name: name, Tenant: tenant, Payload: payload})
	if err != nil {
		return function.Invocation{}, err
	}
	spec, err := f.execute(c, b.NotTaken == "")
	if err != nil {
		return function.Invocation{}, err
	}
	if err := b.depart(ctx, c); err != nil {
		return function.Invocation{}, err
	}
	return b.invocation(c, spec), nil
}

func (f *Functions) execute(c Call, taken bool) (function.Spec, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	state, _ := f.look(c.Name)
	m := f.functions[c.Name]
	switch state {
	case "":
		return function.Spec{}, fail(c, function.NotFound, "ResourceNotFoundException", errNone)
	case Inactive:
		m.state, m.activeAt = Pending, time.Now().Add(f.cfg.Pending)
		return function.Spec{}, fail(c, function.NotReady, "ResourceNotReadyException", errors.New("the function is Inactive"))
	case Pending:
		return function.Spec{}, fail(c, function.NotReady, "ResourceConflictException", errors.New("the function is Pending"))
	case Failed:
		return function.Spec{}, fail(c, function.BadState, "ResourceConflictException", errors.New("the function is Failed"))
	}
	if taken {
		f.executed = append(f.executed, c)
	}
	return m.spec, nil
}
