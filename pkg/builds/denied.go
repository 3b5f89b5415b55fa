package builds

import (
	"context"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// verdict tells whether what is built of an env may be used while the list of
// denied packages has this digest.
type verdict struct {
	digest string
	avoid  bool // it has a denied package, or nobody knows whether it has
}

func (b *Builder) denied() run.Denied {
	if b.deps.Denied == nil {
		return run.Denied{}
	}
	return b.deps.Denied()
}

// allowed returns the script to build: s, or the same under identities of its
// own (run.Script.Avoiding) if what is built of s may have a denied package. It
// answers from this worker's memory; ok is false where that does not suffice.
func (b *Builder) allowed(s run.Script) (allowed run.Script, ok bool) {
	digest := b.denied().Digest()
	if digest == "" || s.EnvHash == "" {
		return s, true
	}
	v, ok := b.verdicts.get(s.EnvHash)
	if !ok || v.digest != digest {
		return s, false
	}
	if v.avoid {
		s = s.Avoiding(digest)
	}
	return s, true
}

// judgeEnv decides on the script's env, for allowed. Its packages are those of
// its record. Without a record nobody knows them: the env is avoided if Lambda
// has its layer, and else will be built without denied packages.
func (b *Builder) judgeEnv(ctx context.Context, s run.Script) error {
	denied := b.denied()
	rec, ok := b.layers.get(s.EnvHash)
	if !ok || len(rec.Packages) == 0 {
		var err error
		if rec, _, err = b.deps.Records.Get(ctx, envKey(s.EnvHash)); err != nil {
			return fmt.Errorf("look up the packages of an env: %w", err)
		}
	}
	v := verdict{digest: denied.Digest()}
	if len(rec.Packages) > 0 {
		_, v.avoid = denied.First(rec.Packages)
	} else {
		there, err := b.hasLayer(ctx, s)
		if err != nil {
			return err
		}
		v.avoid = there
	}
	b.verdicts.put(s.EnvHash, v)
	return nil
}

func (b *Builder) hasLayer(ctx context.Context, s run.Script) (bool, error) {
	if err := b.deps.Limiter.Wait(ctx, ratelimit.Waited); err != nil {
		return false, fmt.Errorf("wait for a call of Lambda: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.CallTimeout)
	defer cancel()
	_, err := b.deps.Maker.FindLayer(ctx, run.LayerName(b.cfg.Prefix, s.EnvHash))
	if function.ClassOf(err) == function.NotFound {
		return false, nil
	}
	return err == nil, err
}
