package simulation

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// siteFunctions is Lambda for one site.
type siteFunctions struct {
	*memfunction.Functions
	s *site
}

func (l *siteFunctions) FindLayer(ctx context.Context, name string) (string, error) {
	return lambda(ctx, l.s, "lambda.FindLayer", func(ctx context.Context) (string, error) { return l.Functions.FindLayer(ctx, name) })
}

func (l *siteFunctions) PublishLayer(ctx context.Context, spec function.LayerSpec) (string, error) {
	return lambda(ctx, l.s, "lambda.PublishLayer", func(ctx context.Context) (string, error) { return l.Functions.PublishLayer(ctx, spec) })
}

func (l *siteFunctions) Create(ctx context.Context, spec function.Spec) error {
	_, err := lambda(ctx, l.s, "lambda.Create", func(ctx context.Context) (none, error) {
		l.s.f.makes(l.s, spec)
		made := l.s.f.begins(l.s, spec)
		err := l.Functions.Create(ctx, spec)
		l.s.f.created(made, err)
		if err == nil && l.s.roll(l.s.f.plan.rates.stillborn) {
			l.s.f.log("lambda", "%s is stillborn", spec.Name)
			l.Functions.SetState(spec.Name, memfunction.Failed)
		}
		return none{}, err
	})
	return err
}

func (l *siteFunctions) Await(ctx context.Context, name string) error {
	_, err := lambda(ctx, l.s, "lambda.Await", func(ctx context.Context) (none, error) { return none{}, l.Functions.Await(ctx, name) })
	return err
}

func (l *siteFunctions) Delete(ctx context.Context, name string) error {
	_, err := lambda(ctx, l.s, "lambda.Delete", func(ctx context.Context) (none, error) { return none{}, l.Functions.Delete(ctx, name) })
	return err
}

func (l *siteFunctions) Invoke(ctx context.Context, tenant, name string, payload []byte) (function.Invocation, error) {
	return lambda(ctx, l.s, "lambda.Invoke", func(ctx context.Context) (function.Invocation, error) {
		if l.s.roll(l.s.f.plan.rates.garbled) {
			payload = l.s.f.garble(payload)
		}
		i := l.s.f.invokes(l.s, tenant, name, payload)
		inv, err := l.Functions.Invoke(ctx, tenant, name, payload)
		l.s.f.invoked(i, err)
		return inv, err
	})
}

// lambda makes a call of Lambda for the site. A call that is cut off has an
// unknown outcome.
func lambda[T any](ctx context.Context, s *site, op string, do func(context.Context) (T, error)) (T, error) {
	v, err := through(ctx, s, op, do)
	if err != nil && function.ClassOf(err) == "" {
		err = &function.Error{Class: function.Ambiguous, Op: op, Reason: "ConnectionBroken", Err: err}
	}
	return v, err
}

// behave decides how a call of Lambda goes.
func (f *fleet) behave(c memfunction.Call) memfunction.Behaviour {
	b := memfunction.Behaviour{Duration: f.between(5*time.Millisecond, 300*time.Millisecond)}
	if c.Op == "Await" {
		b.Duration = 0
	}
	if c.Op == "Invoke" {
		f.executes(c, &b)
	}
	switch {
	case f.roll(f.plan.rates.throttled), c.Op == "Invoke" && !f.healthy() && among(f.plan.throttle, f.now()):
		b.Fault, b.Duration = function.Throttled, time.Millisecond
		b.Reason = "TooManyRequestsException/ConcurrentInvocationLimitExceeded"
		if f.roll(0.2) {
			b.Reason = "TooManyRequestsException/ReservedFunctionConcurrentInvocationLimitExceeded"
		}
	case f.roll(f.plan.rates.broken):
		b.Fault, b.Executes = function.Ambiguous, f.roll(0.5)
		if f.roll(0.2) {
			b.Fault, b.Executes = function.Unsent, false
		}
	}
	return b
}

// payload is what an invocation carries.
type payload struct {
	Input struct {
		Run    string
		MS     int64
		Status run.Status
	}
	Script *struct {
		Source         string         `json:"source"`
		Hash           run.ScriptHash `json:"hash"`
		TimeoutSeconds int            `json:"timeout_seconds"`
	}
}

func read(body []byte) (in payload) {
	_ = json.Unmarshal(body, &in)
	return in
}

// garble replaces the script that a payload carries for an env runner, as a fault
// of the worker's would.
func (f *fleet) garble(body []byte) []byte {
	var all map[string]json.RawMessage
	if in := read(body); in.Script == nil || json.Unmarshal(body, &all) != nil {
		return body
	}
	var script map[string]any
	_ = json.Unmarshal(all["script"], &script)
	script["source"] = "def main(input): return 'of another script'"
	all["script"], _ = json.Marshal(script)
	body, _ = json.Marshal(all)
	f.log("world", "a script is garbled on its way to an env runner")
	return body
}

// takes tells whether an env runner takes a script: the hash in the payload is
// that of the script in it.
func (f *fleet) takes(c memfunction.Call, in payload) bool {
	if in.Script == nil || f.off == runnerHash {
		return true
	}
	runner := f.scripts[c.Name]
	of := f.scripts[run.FunctionName(prefix, runner.Tenant, in.Script.Hash)]
	return of.Source == in.Script.Source && of.TimeoutSeconds == in.Script.TimeoutSeconds && of.EnvHash == runner.EnvHash
}

// executes decides how an invocation's script goes, by its request.
func (f *fleet) executes(c memfunction.Call, b *memfunction.Behaviour) {
	in := read(c.Payload)
	if in.Script != nil && f.roll(f.plan.rates.notTaken) {
		b.NotTaken, b.Duration = "Busy", time.Millisecond
		return
	}
	if !f.takes(c, in) {
		b.NotTaken, b.Duration = "WrongHash", time.Millisecond
		return
	}
	b.Duration = time.Duration(in.Input.MS) * time.Millisecond
	if in.Input.Status != run.Succeeded {
		b.Status = in.Input.Status
	}
	b.Output, _ = json.Marshal(in.Input.Run)
}

// layers builds layers for all sites.
type layers struct {
	f      *fleet
	mu     sync.Mutex
	builds map[run.EnvHash][]*layerBuild
}

// layerBuild is a started build.
type layerBuild struct {
	by         *site
	began, end time.Duration
	err        error
	done       bool
}

type siteLayers struct {
	*layers
	s *site
}

func (l *siteLayers) Build(ctx context.Context, s run.Script) ([]byte, []run.Package, string, error) {
	e := l.f.plan.envs[s.Requirements]
	b := &layerBuild{by: l.s, began: l.f.now()}
	l.mu.Lock()
	before := l.builds[s.EnvHash]
	l.builds[s.EnvHash] = append(before, b)
	l.mu.Unlock()
	l.f.log(l.s.name, "builds the layer of %s, for %s", s.Requirements, e.takes)
	l.f.checkRebuilt(s, before, b)
	err := pass(ctx, e.takes)
	l.s.held()
	switch {
	case err != nil:
	case l.s.isDead():
		err = errDead
	case e.permanent:
		err = &run.Error{Owner: run.OwnerAuthor, Type: "RequirementNotFound", Message: "no such version: name one that there is"}
	case len(before) < e.transient:
		err = &run.Error{Owner: run.OwnerPlatform, Type: "IndexUnreachable", Message: "send it again later", Retryable: true}
	}
	l.mu.Lock()
	b.end, b.err, b.done = l.f.now(), err, true
	l.mu.Unlock()
	return []byte(s.Requirements), nil, "resolved", err
}

// packer packs a script as its source, so that the code of a function can be
// compared.
type packer struct{}

func (packer) Pack(_ context.Context, s run.Script) ([]byte, error) { return []byte(code(s)), nil }

func code(s run.Script) string { return s.Tenant + "\n" + s.Requirements + "\n" + s.Source }

// eager is a builder for which a waiting run is not parked.
type eager struct{ siteBuilds }

func (e eager) Known(s run.Script) (builds.Built, bool) {
	built, err := e.Ensure(e.s.life, s, builds.ForRun)
	return built, err == nil
}

type credentials struct{}

func (credentials) Assume(context.Context, run.Run) function.Credentials {
	return function.Credentials{Success: true, AccessKeyID: "AKIA"}
}

func layerOf(arns []string, name string) bool {
	return len(arns) == 1 && strings.Contains(arns[0], ":layer:"+name+":")
}
