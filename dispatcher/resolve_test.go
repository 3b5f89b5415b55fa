package dispatcher_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/registry/memregistry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// withScripts runs a test beside a registry with one script, labelled prod.
func withScripts(t *testing.T, test func(b *bench, s *memregistry.Store, push func(source string))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := memregistry.New()
		push := func(source string) {
			t.Helper()
			p := registry.Push{Name: registry.Name{Tenant: "acme", ID: "a"}, Pushed: run.Pushed{Source: source}, Label: "prod"}
			if _, _, err := registry.New(s).Push(context.Background(), p, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		push("def main(input): return 1")
		b := newBench(t, dispatcher.Config{}, func(d *dispatcher.Deps) { d.Scripts = registry.NewResolver(s) })
		b.start()
		defer func() { b.Stop() }()
		test(b, s, push)
	})
}

func byReference(id string) run.Request {
	return ask(id, func(r *run.Request) { r.Data = run.RequestData{ScriptRef: "a@prod", Caller: "team-b"} })
}

// versionsOf are the references of a run's deliveries that were not taken yet.
func (b *bench) versionsOf(id string) (refs []string) {
	b.Helper()
	for _, d := range b.sent() {
		r, refused := inmemory.Policy.Decode(d.Body, time.Now())
		if refused != nil {
			b.Fatal(refused)
		}
		if r.ID == id {
			refs = append(refs, r.Data.ScriptRef)
		}
	}
	return refs
}

func TestARunByReferenceIsSentWithItsVersionAndWithoutItsText(t *testing.T) {
	withScripts(t, func(b *bench, _ *memregistry.Store, _ func(string)) {
		b.send(byReference("r"))
		settle()
		refs := b.versionsOf("r")
		if want := "a@" + string(run.Pushed{Source: "def main(input): return 1"}.Version()); len(refs) != 1 || refs[0] != want {
			t.Errorf("sent as %q, want %s", refs, want)
		}
	})
}

// A dispatcher may have died between accepting a run and deleting its request.
func TestARequestThatComesAgainAfterAPushKeepsItsVersion(t *testing.T) {
	for what, change := range map[string]func(s *memregistry.Store, push func(string)){
		"a push": func(_ *memregistry.Store, push func(string)) { push("def main(input): return 2") },
		"a removal": func(s *memregistry.Store, _ func(string)) {
			if err := registry.New(s).Remove(context.Background(), registry.Name{Tenant: "acme", ID: "a"}, false, time.Now()); err != nil {
				t.Error(err)
			}
		},
	} {
		withScripts(t, func(b *bench, s *memregistry.Store, push func(string)) {
			b.send(byReference("r"))
			settle()
			change(s, push)
			b.send(byReference("r"))
			settle()
			refs := b.versionsOf("r")
			if len(refs) != 2 || refs[0] != refs[1] {
				t.Errorf("after %s the run is sent as %q", what, refs)
			}
		})
	}
}

func TestRequestsByReferenceComeAgainWhileTheRegistryIsAway(t *testing.T) {
	withScripts(t, func(b *bench, s *memregistry.Store, _ func(string)) {
		var back atomic.Bool
		s.Fault = func(string, registry.Name) error {
			if back.Load() {
				return nil
			}
			return errors.New("away")
		}
		b.send(byReference("r"), ask("other"))
		settle()
		if refs := b.versionsOf("other"); len(refs) != 1 {
			t.Error("a request that carries its script waits too")
		}
		back.Store(true)
		time.Sleep(time.Minute)
		settle()
		if refs := b.versionsOf("r"); len(refs) != 1 || !strings.HasPrefix(refs[0], "a@") {
			t.Errorf("afterwards it is sent as %q", refs)
		}
	})
}

func TestAReferenceIsRefusedWithoutARegistry(t *testing.T) {
	with(t, func(b *bench) {
		b.send(byReference("r"))
		settle()
		if res := b.answers(1)[0]; res.Data.Status != run.Rejected || res.Data.Error.Type != "NoRegistry" || res.Data.Error.Owner != run.OwnerOperator {
			t.Errorf("%+v", res.Data)
		}
	})
}
