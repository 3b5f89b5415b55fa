package builds

import (
	"context"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// EnvRecord returns the record of an env, for the operator's commands.
func EnvRecord(ctx context.Context, records Records, h run.EnvHash) (r Record, ok bool, err error) {
	return records.Get(ctx, envKey(h))
}

func envKey(h run.EnvHash) string { return "env/" + string(h) }

// envStep makes the layer of the script's env.
func (b *Builder) envStep(s run.Script) step {
	name := run.LayerName(b.cfg.Prefix, s.EnvHash)
	return step{
		name: stepEnv, key: envKey(s.EnvHash), script: s,
		is:   func(arn string) bool { return strings.Contains(arn, name) },
		lead: leadEnv,
		learn: func(rec Record) {
			if rec.Failure == nil {
				rec.Log = ""
				b.layers.put(s.EnvHash, rec)
			}
		},
	}
}

// leadEnv builds and publishes the layer, unless Lambda has a layer of that
// name: an earlier leader may have published it and died, and a second publish
// would make a second version. Without an earlier leader there is nothing to look
// for.
func leadEnv(ctx context.Context, t *term) (made, error) {
	name := run.LayerName(t.cfg.Prefix, t.script.EnvHash)
	var arn string
	if !t.hold.First() {
		var err error
		if arn, err = t.findLayer(ctx, name); err != nil || arn != "" {
			return made{arn: arn, found: true}, err
		}
	}
	t.begin()
	zip, packages, log, err := t.deps.Layers.Build(ctx, t.script)
	t.log, t.packages = log, packages
	if err != nil {
		return made{}, during(ctx, err)
	}
	arn, err = t.publish(ctx, function.LayerSpec{
		Name: name, Zip: zip, Runtime: t.script.Runtime.Lambda, Arch: t.script.Arch,
		Description: "An env of " + t.script.Runtime.Name,
	})
	return made{arn: arn}, err
}

// findLayer returns the layer's ARN, or "" where there is none.
func (t *term) findLayer(ctx context.Context, name string) (arn string, err error) {
	err = t.call(ctx, call{op: "FindLayer", paced: true, timeout: t.cfg.CallTimeout,
		do: func(ctx context.Context) (err error) { arn, err = t.deps.Maker.FindLayer(ctx, name); return err }})
	if function.ClassOf(err) == function.NotFound {
		return "", nil
	}
	return arn, err
}

// publish publishes a version of the layer. A call without an answer may have
// taken effect, so each try after it first asks Lambda for the layer, and
// publishes only if Lambda answers NotFound.
func (t *term) publish(ctx context.Context, l function.LayerSpec) (arn string, err error) {
	perhapsThere := false
	err = t.call(ctx, call{op: "PublishLayer", paced: true, timeout: t.cfg.CallTimeout,
		do: func(ctx context.Context) (err error) {
			if perhapsThere {
				if arn, err = t.deps.Maker.FindLayer(ctx, l.Name); function.ClassOf(err) != function.NotFound {
					return err
				}
			}
			arn, err = t.deps.Maker.PublishLayer(ctx, l)
			perhapsThere = unanswered(err)
			return err
		}})
	return arn, err
}

// forgetLayers drops the script's layers from memory and their records from
// Records.
func (t *term) forgetLayers(ctx context.Context) error {
	for _, env := range envs(t.script) {
		rec, ok := t.Builder.layers.get(env.EnvHash)
		if !ok {
			continue
		}
		t.Builder.layers.drop(env.EnvHash)
		if err := t.deps.Records.Drop(ctx, envKey(env.EnvHash), rec.Fence); err != nil {
			return err
		}
	}
	return nil
}
