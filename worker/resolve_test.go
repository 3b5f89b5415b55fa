package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/registry/memregistry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

var pushed = run.Pushed{Source: "def main(input): return 1"}

// withScripts runs a test beside a registry with one script. accepted is a
// request for it as the dispatcher sends it on.
func withScripts(t *testing.T, test func(b *bench, s *memregistry.Store, accepted run.Request)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := memregistry.New()
		p := registry.Push{Name: registry.Name{Tenant: "acme", ID: "a"}, Pushed: pushed}
		if _, _, err := registry.New(s).Push(context.Background(), p, time.Now()); err != nil {
			t.Fatal(err)
		}
		b := newBench(t, bridging, func(d *worker.Deps) { d.Scripts = registry.NewResolver(s) })
		b.start()
		defer func() { b.Stop() }()
		ref := run.Reference{ID: "a", Version: pushed.Version()}
		test(b, s, ask("r", func(r *run.Request) { r.Data = run.RequestData{ScriptRef: ref.String()} }))
	})
}

// sendReference puts an accepted request on the partition, with its function
// built.
func (b *bench) sendReference(accepted run.Request) {
	b.Helper()
	full, refused := inmemory.Policy.Complete(decode(b.T, accepted), "a", pushed, time.Now())
	if refused != nil {
		b.Fatal(refused)
	}
	name := run.FunctionName("sim", "acme", full.Script.Hash)
	if err := b.functions.Create(context.Background(), function.Spec{Name: name, TimeoutSeconds: 60}); err != nil {
		b.Fatal(err)
	}
	b.accept(accepted)
	b.put(accepted)
	synctest.Wait()
}

func TestARunWhoseTextIsErasedIsAnsweredSo(t *testing.T) {
	withScripts(t, func(b *bench, s *memregistry.Store, accepted run.Request) {
		if err := registry.New(s).Remove(context.Background(), registry.Name{Tenant: "acme", ID: "a"}, true, time.Now()); err != nil {
			t.Fatal(err)
		}
		b.sendReference(accepted)
		if res := b.want("r", run.Rejected, 1); res.Data.Error.Type != "ScriptErased" || res.Data.ScriptRef != accepted.Data.ScriptRef {
			t.Errorf("%+v", res.Data)
		}
	})
}

func TestARunWaitsForARegistryThatIsAwayAndExplainSaysSo(t *testing.T) {
	withScripts(t, func(b *bench, s *memregistry.Store, accepted run.Request) {
		var back atomic.Bool
		s.Fault = func(string, registry.Name) error {
			if back.Load() {
				return nil
			}
			return errors.New("away")
		}
		b.sendReference(accepted)
		time.Sleep(time.Second)
		if r, err := b.ledger.Lookup(context.Background(), run.KeyOf("acme", accepted.Source, "r")); err != nil || r.State != ledger.Queued || !strings.Contains(r.Waiting, "script registry") {
			t.Errorf("it is %s and waits for %q, %v", r.State, r.Waiting, err)
		}
		back.Store(true)
		b.want("r", run.Succeeded, 1)
	})
}
