package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/registry/memregistry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var name = registry.Name{Tenant: "acme", ID: "a/b"}

// counting is a store that counts its reads.
type counting struct {
	*memregistry.Store
	reads sync.Map // of operations, to *atomic.Int32
	slow  time.Duration
}

func newCounting() *counting {
	c := &counting{Store: memregistry.New()}
	c.Fault = func(op string, _ registry.Name) error {
		n, _ := c.reads.LoadOrStore(op, new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
		time.Sleep(c.slow)
		return nil
	}
	return c
}

func (c *counting) count(op string) int {
	n, ok := c.reads.Load(op)
	if !ok {
		return 0
	}
	return int(n.(*atomic.Int32).Load())
}

func push(t *testing.T, s registry.Store, source string, change ...func(*registry.Push)) run.ScriptVersion {
	t.Helper()
	p := registry.Push{Name: name, Pushed: run.Pushed{Source: source}}
	for _, c := range change {
		c(&p)
	}
	if _, _, err := registry.New(s).Push(t.Context(), p, time.Now()); err != nil {
		t.Fatal(err)
	}
	return p.Pushed.Version()
}

func sharedWith(s registry.Sharing) func(*registry.Push) {
	return func(p *registry.Push) { p.Sharing = &s }
}

func labelled(label string) func(*registry.Push) { return func(p *registry.Push) { p.Label = label } }

func asks(ref, caller string) run.Run {
	return run.Run{Request: run.Request{Type: run.TypeRequested, Tenant: "acme", Data: run.RequestData{ScriptRef: ref, Caller: caller}}}
}

func refusal(err error) string {
	var e *run.Error
	if errors.As(err, &e) {
		return e.Type
	}
	return fmt.Sprint(err)
}

func TestAReferenceNamesTheLatestALabelOrAVersion(t *testing.T) {
	s := memregistry.New()
	r := registry.NewResolver(s)
	first := push(t, s, "1", labelled("prod"))
	push(t, s, "2")
	for ref, want := range map[string]string{"a/b": "2", "a/b@prod": "1", "a/b@" + string(first): "1"} {
		if p, err := r.Resolve(t.Context(), asks(ref, "")); err != nil || p.Source != want {
			t.Errorf("%s is %q, %v", ref, p.Source, err)
		}
	}
	for _, ref := range []string{"a", "a/b@live", "a/b@" + strings.Repeat("a", 26)} {
		if p, err := r.Resolve(t.Context(), asks(ref, "")); refusal(err) != "UnknownScript" {
			t.Errorf("%s is %q, %v", ref, p.Source, err)
		}
	}
	g := registry.New(s)
	if v, err := g.Promote(t.Context(), name, run.Reference{ID: name.ID}, "prod"); err != nil || v == first {
		t.Errorf("promoted to %s, %v", v, err)
	}
	if p, err := r.Resolve(t.Context(), asks("a/b@prod", "")); err != nil || p.Source != "2" {
		t.Errorf("after the promotion: %q, %v", p.Source, err)
	}
}

func TestOnlyThoseOnTheListsMayRun(t *testing.T) {
	s := memregistry.New()
	r := registry.NewResolver(s)
	push(t, s, "1", sharedWith(registry.Sharing{Allow: []string{"team-b"}, Readers: []string{"team-a"}}))
	push(t, s, "2") // the lists stay
	for caller, want := range map[string]string{"team-b": "<nil>", "team-a": "<nil>", "team-c": "CallerNotAllowed", "": "CallerNotAllowed"} {
		if _, err := r.Resolve(t.Context(), asks("a/b", caller)); refusal(err) != want {
			t.Errorf("%q may run it: %v, want %s", caller, err, want)
		}
		ahead := asks("a/b", caller)
		ahead.Type = run.TypeSaved
		if caller == "" {
			want = "<nil>"
		}
		if _, err := r.Resolve(t.Context(), ahead); refusal(err) != want {
			t.Errorf("%q may build it ahead: %v, want %s", caller, err, want)
		}
	}
	other := asks("a/b", "team-b")
	other.Tenant = "globex"
	if _, err := r.Resolve(t.Context(), other); refusal(err) != "UnknownScript" {
		t.Errorf("another tenant may run it: %v", err)
	}
	g := registry.New(s)
	for caller, want := range map[string]string{"team-b": "CallerNotAllowed", "team-a": "<nil>", "": "<nil>"} {
		if _, err := g.Read(t.Context(), name, run.Reference{ID: name.ID}, caller); refusal(err) != want {
			t.Errorf("%q may read it: %v, want %s", caller, err, want)
		}
	}
	if err := g.Share(t.Context(), name, registry.Sharing{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), asks("a/b", "")); err != nil {
		t.Errorf("without lists: %v", err)
	}
}

func TestAnAcceptedRunFindsItsTextUntilItIsErased(t *testing.T) {
	s := memregistry.New()
	g := registry.New(s)
	v := push(t, s, "1")
	accepted := asks("a/b@"+string(v), "")
	for _, erase := range []bool{false, true} {
		if err := g.Remove(t.Context(), name, erase, time.Now()); err != nil {
			t.Fatal(err)
		}
		want := "<nil>"
		if erase {
			want = "ScriptErased"
		}
		r := registry.NewResolver(s)
		if _, err := r.Accepted(t.Context(), accepted); refusal(err) != want {
			t.Errorf("erased %t: the accepted run gets %v, want %s", erase, err, want)
		}
		if _, err := r.Resolve(t.Context(), accepted); refusal(err) != "UnknownScript" {
			t.Errorf("erased %t: a later request gets %v", erase, err)
		}
	}
	if err := g.Remove(t.Context(), registry.Name{Tenant: "acme", ID: "x"}, false, time.Now()); refusal(err) != "UnknownScript" {
		t.Errorf("removing what is not there: %v", err)
	}
	if found, err := g.List(t.Context(), "acme"); len(found) != 0 || err != nil {
		t.Errorf("the list has %v, %v", found, err)
	}
	if push(t, s, "1") != v {
		t.Error("pushed again it is another version")
	}
	if _, err := registry.NewResolver(s).Accepted(t.Context(), accepted); err != nil {
		t.Errorf("pushed again: %v", err)
	}
}

func TestEachResolutionIsAsNewAsItselfAndThoseThatWaitShareOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCounting()
		s.slow = time.Second
		r := registry.NewResolver(s)
		push(t, s, "1")
		before := s.count("entry")
		var wg sync.WaitGroup
		resolve := func(want string) {
			wg.Go(func() {
				if p, err := r.Resolve(t.Context(), asks("a/b", "")); err != nil || p.Source != want {
					t.Errorf("%q, %v, want %s", p.Source, err, want)
				}
			})
		}
		resolve("1")
		time.Sleep(100 * time.Millisecond)
		for range 100 {
			resolve("1") // not by the read that has begun
		}
		wg.Wait()
		if n := s.count("entry") - before; n != 2 {
			t.Errorf("the entry was read %d times for 101 resolutions, want 2", n)
		}
		push(t, s, "2")
		resolve("2")
		wg.Wait()
		if n := s.count("text"); n > 3 {
			t.Errorf("2 texts were read %d times", n)
		}
	})
}

func TestAStoreThatIsAwayRefusesNothing(t *testing.T) {
	s := memregistry.New()
	r := registry.NewResolver(s)
	push(t, s, "1")
	away := errors.New("away")
	s.Fault = func(string, registry.Name) error { return away }
	if _, err := r.Resolve(t.Context(), asks("a/b", "")); !errors.Is(err, away) {
		t.Errorf("resolve: %v", err)
	}
	s.Fault = nil
	if _, err := r.Resolve(t.Context(), asks("a/b", "")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestOnlyTheTextsUsedLastAreKept(t *testing.T) {
	s := newCounting()
	r := registry.NewResolver(s)
	const texts, size = 20, 4 << 20 // more than 64 MiB together
	var versions []run.ScriptVersion
	for i := range texts {
		versions = append(versions, push(t, s, fmt.Sprint(i)+strings.Repeat(" ", size-2)))
	}
	read := func(i int) {
		if _, err := r.Accepted(t.Context(), asks("a/b@"+string(versions[i]), "")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range texts {
		read(i)
	}
	before := s.count("text")
	read(texts - 1)
	if s.count("text") != before {
		t.Error("the text used last is not kept")
	}
	if read(0); s.count("text") != before+1 {
		t.Error("all texts are kept")
	}
}
