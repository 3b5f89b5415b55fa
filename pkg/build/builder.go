package build

import (
	"context"
	"errors"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ErrClosed is why Ensure fails once Close was called.
var ErrClosed = errors.New("build: closed")

// Builder is safe for concurrent use.
type Builder struct {
	cfg  Config
	deps Deps
}

// New returns a Builder. Close ends it.
func New(cfg Config, deps Deps) *Builder {
	return &Builder{cfg: cfg.withDefaults(), deps: deps}
}

// Known answers from memory alone whether the script's function is built. It
// costs no round trip, so it is what the warm path asks.
func (b *Builder) Known(s run.Script) (Built, bool) { return Built{}, false }

// Ensure returns once the script's function is built, by this call, another in
// this worker or another worker. It fails with a *FailedError where the build
// failed, with ErrClosed, or with the error of ctx; a caller whose ctx ends
// leaves the build to the others and to itself.
func (b *Builder) Ensure(ctx context.Context, s run.Script, p Priority) (Built, error) {
	return Built{}, ErrClosed
}

// Forget is called when an invoke answered NotFound or BadState: it drops what
// memory and records say of the script's function, as far as it is no newer
// than what the invoke relied on. The next Ensure looks at the function itself,
// deletes one that is Failed, and builds what is not there.
func (b *Builder) Forget(ctx context.Context, s run.Script) error { return nil }

// Busy tells which worker leads the build that this worker's runs of the script
// wait for; leader is empty while the build waits for a place in this worker.
func (b *Builder) Busy(hash run.ScriptHash) (leader string, ok bool) { return "", false }

// Close refuses new builds, lets those under way finish until ctx ends, then
// ends them and gives their leases back.
func (b *Builder) Close(ctx context.Context) error { return nil }
