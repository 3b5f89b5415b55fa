// Package ledgertest holds implementations of ledger.Ledger to their contract:
// by single tests, by a model under random operations, and by concurrent
// callers.
package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Env is one implementation under test. It is empty, and configured with the
// constants below.
type Env struct {
	Ledger ledger.Ledger
	Pass   func(d time.Duration) // moves the ledger's clock by d
	Flush  func()                // removes all that the ledger has stored
	Slow   bool                  // long tests then run fewer operations
}

const (
	Keep     = 14 * 24 * time.Hour
	Remember = 4 * 24 * time.Hour

	Recent    = 8
	RecentFor = time.Hour
	Latest    = 5 * Recent

	ttl = 30 * time.Second
)

// Run runs the contract. It calls run for each of its tests; run makes a fresh
// Env and calls test with it, inside a synctest bubble if the implementation is
// in memory.
func Run(t *testing.T, run func(t *testing.T, test func(t *testing.T, e Env))) {
	for _, tests := range []map[string]func(*testing.T, Env){lifeClaims, cancelClaims, ownerClaims, beginClaims, forgetClaims, lookClaims, recentClaims, raceClaims} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) { run(t, test) })
		}
	}
	t.Run("AgreesWithTheModel", func(t *testing.T) { run(t, agreesWithModel) })
}

// tester calls the ledger of one Env, and fails the test on unexpected errors.
type tester struct {
	*testing.T
	Env
	ctx context.Context
}

func with(t *testing.T, e Env) tester { return tester{T: t, Env: e, ctx: t.Context()} }

func entry(key string) ledger.Entry {
	return ledger.Entry{Key: run.Key(key), Tenant: "acme", Source: "/stories/a b", ID: "id-" + key,
		Action: "say \"hi\"\n", Script: "abcdefghijklmnopqrstuvwxyz"}
}

func (t tester) accept(key string) ledger.State {
	t.Helper()
	s, err := t.Ledger.Accept(t.ctx, []ledger.Entry{entry(key)})
	t.ok(err)
	return s[0]
}

func (t tester) claim(key, owner string) ledger.Answer {
	t.Helper()
	return t.ask(ledger.Claim{Entry: entry(key), Owner: owner})
}

// begin claims a run, to begin it at once.
func (t tester) begin(key, owner string) ledger.Answer {
	t.Helper()
	return t.ask(ledger.Claim{Entry: entry(key), Owner: owner, Begin: true})
}

func (t tester) ask(c ledger.Claim) ledger.Answer {
	t.Helper()
	a, err := t.Ledger.Claim(t.ctx, []ledger.Claim{c}, ttl)
	t.ok(err)
	return a[0]
}

// granted accepts a run, then claims it.
func (t tester) granted(key, owner string) ledger.Hold {
	t.Helper()
	t.accept(key)
	a := t.claim(key, owner)
	if !a.Granted {
		t.Fatalf("%s is refused %s: %+v", owner, key, a)
	}
	return a.Hold
}

func (t tester) refused(key, owner string) ledger.Answer {
	t.Helper()
	a := t.claim(key, owner)
	if a.Granted {
		t.Fatalf("%s is granted %s: %+v", owner, key, a)
	}
	return a
}

func (t tester) renew(h ledger.Hold, want error) {
	t.Helper()
	errs, err := t.Ledger.Renew(t.ctx, []ledger.Hold{h}, ttl)
	t.ok(err)
	t.is(errs[0], want, "Renew")
}

func (t tester) invoking(h ledger.Hold) ledger.Hold {
	t.Helper()
	errs, err := t.Ledger.Invoking(t.ctx, []ledger.Hold{h})
	t.ok(err)
	t.is(errs[0], nil, "Invoking")
	return h.Begun()
}

func (t tester) notInvoking(h ledger.Hold) {
	t.Helper()
	errs, err := t.Ledger.Invoking(t.ctx, []ledger.Hold{h})
	t.ok(err)
	t.is(errs[0], ledger.ErrLost, "Invoking")
}

func (t tester) release(h ledger.Hold, executed bool) {
	t.Helper()
	t.ok(t.Ledger.Release(t.ctx, h, executed))
}

func (t tester) finish(h ledger.Hold, result string, want error) {
	t.Helper()
	errs, err := t.Ledger.Finish(t.ctx, []ledger.Finish{{Hold: h, Status: run.Succeeded, Result: []byte(result)}})
	t.ok(err)
	t.is(errs[0], want, "Finish")
}

func (t tester) published(key string) {
	t.Helper()
	t.ok(t.Ledger.Published(t.ctx, []run.Key{run.Key(key)}))
}

func (t tester) cancel(key string) ledger.State {
	t.Helper()
	s, err := t.Ledger.Cancel(t.ctx, entry(key))
	t.ok(err)
	return s
}

func (t tester) cancelled(key string) bool {
	t.Helper()
	marks, err := t.Ledger.Cancelled(t.ctx, []run.Key{run.Key(key)})
	t.ok(err)
	return marks[0]
}

func (t tester) lookup(key string) ledger.Record {
	t.Helper()
	r, err := t.Ledger.Lookup(t.ctx, run.Key(key))
	t.ok(err)
	return r
}

// books checks Accepted and the sum of Finished.
func (t tester) books(accepted, finished int64) {
	t.Helper()
	b, err := t.Ledger.Books(t.ctx)
	t.ok(err)
	var sum int64
	for _, n := range b.Finished {
		sum += n
	}
	if b.Accepted != accepted || sum != finished || b.Open != accepted-finished {
		t.Errorf("the books say %+v, want %d accepted and %d finished", b, accepted, finished)
	}
}

func (t tester) state(key string, want ledger.State) {
	t.Helper()
	if r := t.lookup(key); r.State != want {
		t.Errorf("%s is %q, want %q: %+v", key, r.State, want, r)
	}
}

func (t tester) ok(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t tester) is(err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s fails with %v, want %v", what, err, want)
	}
}

func same[T comparable](t tester, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// CallAll calls every method once, for the run of h, and returns their errors
// by the method's name. It serves tests of the errors while Redis is away.
func CallAll(ctx context.Context, l ledger.Ledger, h ledger.Hold) map[string]error {
	errs := map[string]error{}
	keys := []run.Key{h.Entry.Key}
	_, errs["Accept"] = l.Accept(ctx, []ledger.Entry{h.Entry})
	_, errs["Claim"] = l.Claim(ctx, []ledger.Claim{{Entry: h.Entry, Owner: "another"}}, ttl)
	_, errs["Renew"] = l.Renew(ctx, []ledger.Hold{h}, ttl)
	_, errs["Invoking"] = l.Invoking(ctx, []ledger.Hold{h})
	answers := l.Together(ctx, ledger.Calls{
		Finishes: []ledger.Finish{{Hold: h, Status: run.Failed}}, Published: keys,
		Claims: []ledger.Claim{{Entry: h.Entry, Owner: "another"}}, ClaimTTL: ttl, Invoking: []ledger.Hold{h},
	})
	errs["Together, Finish"], errs["Together, Published"] = answers.Finishes[0], answers.Published[0]
	errs["Together, Claim"], errs["Together, Invoking"] = answers.ClaimErrs[0], answers.Invoking[0]
	errs["Wait"] = l.Wait(ctx, h, "a build")
	errs["Release"] = l.Release(ctx, h, false)
	_, errs["Finish"] = l.Finish(ctx, []ledger.Finish{{Hold: h, Status: run.Failed}})
	errs["Published"] = l.Published(ctx, keys)
	_, errs["Cancel"] = l.Cancel(ctx, h.Entry)
	_, errs["Cancelled"] = l.Cancelled(ctx, keys)
	_, errs["Lookup"] = l.Lookup(ctx, h.Entry.Key)
	_, errs["Open"] = l.Open(ctx, 1)
	_, errs["Books"] = l.Books(ctx)
	_, errs["Backlogs"] = l.Backlogs(ctx, []string{h.Entry.Tenant})
	_, errs["AllBacklogs"] = l.AllBacklogs(ctx)
	_, errs["Recent"] = l.Recent(ctx, h.Entry.Tenant)
	_, errs["Latest"] = l.Latest(ctx, false, 1)
	_, errs["RecentTenants"] = l.RecentTenants(ctx)
	return errs
}
