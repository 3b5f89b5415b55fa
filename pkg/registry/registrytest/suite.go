// Package registrytest holds each registry.Store to its contract.
package registrytest

import (
	"errors"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	name  = registry.Name{Tenant: "acme", ID: "phishing/extract"}
	first = run.Pushed{Source: "def main(input):\n    return \"é <1>\"\n", Requirements: "six\n", Runtime: "python3.12", TimeoutSeconds: 7}
)

// Run runs the suite; open makes a store without any script.
func Run(t *testing.T, open func(*testing.T) registry.Store) {
	for _, c := range []struct {
		claim string
		test  func(*testing.T, registry.Store)
	}{
		{"AnEntryIsReadAsItWasSaved", anEntryIsReadAsItWasSaved},
		{"AnUnchangedEntryIsNotReadAgain", anUnchangedEntryIsNotReadAgain},
		{"OfTwoWritesOfOneRevisionOneFails", ofTwoWritesOfOneRevisionOneFails},
		{"NoConcurrentChangeIsLost", noConcurrentChangeIsLost},
		{"ATextIsReadAsItWasPut", aTextIsReadAsItWasPut},
		{"AListHasTheTenantsOwn", aListHasTheTenantsOwn},
	} {
		t.Run(c.claim, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func anEntryIsReadAsItWasSaved(t *testing.T, s registry.Store) {
	if e, err := s.Entry(t.Context(), name, ""); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("before: %+v, %v", e, err)
	}
	want := registry.Entry{
		Versions: []registry.Version{{Version: first.Version(), PushedAt: time.Date(2026, 11, 1, 2, 3, 4, 5, time.UTC), Runtime: "python3.12", Bytes: 30}},
		Latest:   first.Version(), Labels: map[string]run.ScriptVersion{"prod": first.Version()},
		Sharing: registry.Sharing{Allow: []string{"team-b"}, Readers: []string{"team-a"}},
	}
	must(t, s.Save(t.Context(), name, want))
	got, err := s.Entry(t.Context(), name, "")
	must(t, err)
	if got.Revision == "" {
		t.Error("it has no revision")
	}
	want.Revision = got.Revision
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
}

func anUnchangedEntryIsNotReadAgain(t *testing.T, s registry.Store) {
	must(t, s.Save(t.Context(), name, registry.Entry{Latest: "a"}))
	e, err := s.Entry(t.Context(), name, "")
	must(t, err)
	if again, err := s.Entry(t.Context(), name, e.Revision); !errors.Is(err, registry.ErrUnchanged) {
		t.Errorf("read %+v, %v, want ErrUnchanged", again, err)
	}
	known := e.Revision
	e.Latest = "b"
	must(t, s.Save(t.Context(), name, e))
	if again, err := s.Entry(t.Context(), name, known); err != nil || again.Latest != "b" || again.Revision == known {
		t.Errorf("after a change: %+v, %v", again, err)
	}
}

func ofTwoWritesOfOneRevisionOneFails(t *testing.T, s registry.Store) {
	must(t, s.Save(t.Context(), name, registry.Entry{Latest: "a"}))
	if err := s.Save(t.Context(), name, registry.Entry{Latest: "b"}); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("a second creation: %v, want ErrConflict", err)
	}
	e, err := s.Entry(t.Context(), name, "")
	must(t, err)
	e.Latest = "c"
	must(t, s.Save(t.Context(), name, e))
	e.Latest = "d"
	if err := s.Save(t.Context(), name, e); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("a write of an older revision: %v, want ErrConflict", err)
	}
	if e, err := s.Entry(t.Context(), name, ""); err != nil || e.Latest != "c" {
		t.Errorf("it is %+v, %v", e, err)
	}
}

func noConcurrentChangeIsLost(t *testing.T, s registry.Store) {
	g := registry.New(s)
	const pushes = 6
	var wg sync.WaitGroup
	var created atomic.Int32
	for i := range pushes {
		wg.Go(func() {
			p := registry.Push{Name: name, Pushed: run.Pushed{Source: strconv.Itoa(i)}, Label: "l" + strconv.Itoa(i)}
			_, isNew, err := g.Push(t.Context(), p, time.Now())
			if err != nil {
				t.Error(err)
			}
			if isNew {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	e, err := g.Entry(t.Context(), name)
	must(t, err)
	if len(e.Versions) != pushes || len(e.Labels) != pushes || created.Load() != pushes {
		t.Errorf("of %d pushes there are %d versions and %d labels", pushes, len(e.Versions), len(e.Labels))
	}
}

func aTextIsReadAsItWasPut(t *testing.T, s registry.Store) {
	if _, err := s.Text(t.Context(), name, first.Version()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	must(t, s.PutText(t.Context(), name, first))
	must(t, s.PutText(t.Context(), name, first))
	if p, err := s.Text(t.Context(), name, first.Version()); err != nil || p != first {
		t.Errorf("read %+v, %v", p, err)
	}
	for _, other := range []registry.Name{{Tenant: "globex", ID: name.ID}, {Tenant: "acme", ID: "phishing"}} {
		if _, err := s.Text(t.Context(), other, first.Version()); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s has it too: %v", other, err)
		}
	}
	must(t, s.Erase(t.Context(), name, first.Version()))
	must(t, s.Erase(t.Context(), name, first.Version()))
	if _, err := s.Text(t.Context(), name, first.Version()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("after: %v", err)
	}
}

func aListHasTheTenantsOwn(t *testing.T, s registry.Store) {
	for _, n := range []registry.Name{{Tenant: "acme", ID: "b/c"}, {Tenant: "acme", ID: "b"}, {Tenant: "acme", ID: "b/c/d"}, {Tenant: "acme-2", ID: "x"}} {
		must(t, s.PutText(t.Context(), n, first))
		must(t, s.Save(t.Context(), n, registry.Entry{Latest: first.Version()}))
	}
	for tenant, want := range map[string][]string{"acme": {"b", "b/c", "b/c/d"}, "acme-2": {"x"}, "acm": nil} {
		if got, err := s.List(t.Context(), tenant); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s has %q, %v, want %q", tenant, got, err, want)
		}
	}
}
