package builds

import (
	"context"
	"fmt"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func scriptKey(h run.ScriptHash) string { return "script/" + string(h) }

// scriptStep makes the script's function.
func (b *Builder) scriptStep(s run.Script) step {
	name, kind := b.function(s), stepScript
	if s.Runner {
		kind = stepRunner
	}
	return step{
		name: kind, key: scriptKey(s.Hash), script: s,
		is:   func(arn string) bool { return arn == name },
		lead: leadScript,
		learn: func(rec Record) {
			if rec.Failure != nil {
				b.failed.put(s.Hash, rec)
				return
			}
			b.failed.drop(s.Hash)
			b.known.put(s.Hash, rec.Fence)
		},
	}
}

// leadScript makes the function, unless Lambda has it already: the record may
// be missing because Redis lost it, or because a leader died before it wrote
// one. Meanwhile the script is packed: before its layer is made, since packing is
// quick and fails for a script with a syntax error.
func leadScript(ctx context.Context, t *term) (made, error) {
	name := t.function(t.script)
	var packing panics.Group
	var zip []byte
	packing.Go(func() (err error) {
		zip, err = t.deps.Packager.Pack(ctx, t.script)
		return err
	})
	there, err := t.lookAt(ctx, name)
	packed := packing.Wait()
	if err != nil || there {
		return made{arn: name, found: true}, err
	}
	t.begin()
	if packed != nil {
		return made{}, during(ctx, packed)
	}
	found, err := t.create(ctx, name, zip)
	if err != nil {
		return made{}, err
	}
	// The wait for Active needs no place: it uses no CPU here and no token.
	t.f.leavePlace()
	await := call{op: "Await", poll: true, settling: true, timeout: t.cfg.AwaitTimeout,
		do: func(ctx context.Context) error { return t.deps.Maker.Await(ctx, name) }}
	return made{arn: name, found: found}, t.call(ctx, await)
}

// lookAt tells whether the function exists, and waits until it is Active. It
// deletes a function that is Failed, which would never become Active.
func (t *term) lookAt(ctx context.Context, name string) (bool, error) {
	err := t.call(ctx, call{op: "Await", poll: true, timeout: t.cfg.AwaitTimeout,
		do: func(ctx context.Context) error { return t.deps.Maker.Await(ctx, name) }})
	switch function.ClassOf(err) {
	case function.NotFound:
		return false, nil
	case function.BadState:
		return false, t.remove(ctx, name)
	}
	return err == nil, err
}

func (t *term) remove(ctx context.Context, name string) error {
	err := t.call(ctx, call{op: "Delete", paced: true, timeout: t.cfg.CallTimeout,
		do: func(ctx context.Context) error { return t.deps.Maker.Delete(ctx, name) }})
	if function.ClassOf(err) == function.NotFound {
		return nil
	}
	return err
}

// create makes the function with its layers, and reports whether it existed
// before. If Lambda does not find a layer (an operator may have deleted it),
// create makes the layers again, once.
func (t *term) create(ctx context.Context, name string, zip []byte) (found bool, err error) {
	for try := 0; ; try++ {
		layers, err := t.layers(ctx)
		if err != nil {
			return false, err
		}
		found, err = t.createWith(ctx, t.spec(name, zip, layers))
		if function.ClassOf(err) != function.NotFound || len(layers) == 0 || try > 0 {
			return found, err
		}
		if err := t.forgetLayers(ctx); err != nil {
			return false, during(ctx, err)
		}
	}
}

func (t *term) createWith(ctx context.Context, spec function.Spec) (found bool, err error) {
	perhapsThere := false
	err = t.call(ctx, call{op: "Create", paced: true, timeout: t.cfg.CallTimeout,
		do: func(ctx context.Context) error {
			err := t.deps.Maker.Create(ctx, spec)
			if function.ClassOf(err) == function.Conflict {
				found = !perhapsThere // else an earlier, unanswered try made it
				return nil
			}
			perhapsThere = perhapsThere || unanswered(err)
			return err
		}})
	return found, err
}

func (t *term) spec(name string, zip []byte, layers []string) function.Spec {
	s, handler := t.script, t.cfg.HandlerName
	if s.Runner {
		handler = function.RunnerHandler
	}
	return function.Spec{
		Name: name, Code: zip, LayerARNs: layers,
		Runtime: s.Runtime.Lambda, Handler: handler, RoleARN: t.cfg.RoleARN,
		TimeoutSeconds: s.TimeoutSeconds, MemoryMB: s.MemoryMB, Arch: s.Arch,
		Tags:        map[string]string{function.TagTenant: s.Tenant},
		Description: fmt.Sprintf(description, s.Tenant, orNone(string(s.EnvHash))),
	}
}

// description describes a function; Described reads it.
const description = "A script of %s; env %s"

// Described reads the tenant and the env out of a function's description. The
// env is empty for a script without requirements.
func Described(text string) (tenant string, env run.EnvHash, ok bool) {
	text, begins := strings.CutPrefix(text, "A script of ")
	tenant, hash, ends := strings.Cut(text, "; env ")
	if hash == orNone("") {
		hash = ""
	}
	return tenant, run.EnvHash(hash), begins && ends
}

// layers returns the ARNs of the script's layers: that of its custom runtime,
// and that of its env. Lambda's own runtimes have no such layer, and neither has
// a script without requirements.
func (t *term) layers(ctx context.Context) (arns []string, err error) {
	log := ""
	for _, env := range envs(t.script) {
		rec, how, err := t.layer(ctx, env)
		if err != nil {
			return nil, err
		}
		t.metrics.used(how)
		if how != run.BuildReused {
			log += rec.Log
		}
		arns = append(arns, rec.ARN)
	}
	if log != "" {
		t.log = log
	}
	return arns, nil
}

// envs are what the script's layers are built from.
func envs(s run.Script) (all []run.Script) {
	if s.RuntimeHash != "" {
		all = append(all, s.Interpreter())
	}
	if s.EnvHash != "" {
		all = append(all, s)
	}
	return all
}

// layer returns the record of the env's layer. If the layer is not known, it
// waits for the env's flight.
func (t *term) layer(ctx context.Context, env run.Script) (Record, run.BuildOutcome, error) {
	if rec, ok := t.Builder.layers.get(env.EnvHash); ok {
		return rec, run.BuildReused, nil
	}
	out, err := t.awaitEnv(ctx, env)
	if span := t.spanOf(envKey(env.EnvHash), out); span.IsValid() {
		t.awaited = append(t.awaited, span)
	}
	if err == nil && out.record.Failure != nil {
		err = &envFailure{out}
	}
	return out.record, out.how, err
}

// awaitEnv waits for the env's flight, and then for a place for this flight
// again (see flights.join). Neither wait counts towards Config.BuildTimeout.
func (t *term) awaitEnv(ctx context.Context, env run.Script) (outcome, error) {
	defer t.bound.pause()()
	p, _ := t.f.priority()
	out := t.await(ctx, t.envStep(env), p, t.f)
	t.f.waited += out.waited
	if out.err != nil || out.record.Failure != nil {
		return out, out.err
	}
	none := &watch{f: t.f, changed: make(chan struct{})}
	for !t.f.takePlace(ctx, none) {
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
	}
	return out, nil
}

// during returns err, or the cause of ctx if ctx has ended.
func during(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
