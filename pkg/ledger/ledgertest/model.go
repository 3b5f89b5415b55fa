package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// agreesWithModel does random operations of several owners on a few runs, with
// flushes and pauses among them, on the ledger and on a model, and compares the
// two.
func agreesWithModel(t *testing.T, e Env) {
	cases := 0
	// The struct hides t.Deadline, which must not be called in a synctest
	// bubble.
	rapid.Check(struct{ testing.TB }{t}, func(r *rapid.T) {
		if cases++; e.Slow && cases > 20 {
			return
		}
		e.Flush()
		m := &machine{Env: e, tester: with(t, e), finished: map[run.Status]int64{}, runs: map[string]*modelRun{}}
		r.Repeat(map[string]func(*rapid.T){
			"":          m.check,
			"accept":    m.accept,
			"claim":     m.claim,
			"reclaim":   m.reclaim,
			"renew":     m.renew,
			"invoking":  m.invoking,
			"wait":      m.wait,
			"release":   m.release,
			"finish":    m.finish,
			"published": m.published,
			"cancel":    m.cancel,
			"pass":      m.pass,
			"flush":     m.flush,
		})
	})
}

// machine is the ledger with its model.
type machine struct {
	Env
	tester tester

	now      time.Duration // the model's clock: the sum of all passes
	runs     map[string]*modelRun
	finished map[run.Status]int64
	holds    []ledger.Hold // all holds that were granted, the lost ones included
	owners   int
}

// modelRun is the model's record of a run. The zero value is an unknown run.
type modelRun struct {
	state     ledger.State
	hold      *ledger.Hold // the last grant, with the ledger's fence
	released  bool
	until     time.Duration
	before    ledger.State
	attempts  int
	claims    int
	cancelled bool
	status    run.Status
	result    string
	waiting   string
}

func (m *machine) run(r *rapid.T) (string, *modelRun) {
	key := rapid.SampledFrom([]string{"k1", "k2"}).Draw(r, "run")
	return key, m.of(key)
}

func (m *machine) of(key string) *modelRun {
	if m.runs[key] == nil {
		m.runs[key] = &modelRun{}
	}
	return m.runs[key]
}

// anyHold draws a hold, most often one of the latest.
func (m *machine) anyHold(r *rapid.T) (ledger.Hold, *modelRun) {
	if len(m.holds) == 0 {
		r.Skip("no holds yet")
	}
	back := min(rapid.IntRange(0, 5).Draw(r, "hold"), len(m.holds)-1)
	h := m.holds[len(m.holds)-1-back]
	return h, m.of(string(h.Entry.Key))
}

func (m *modelRun) held() bool { return m.state == ledger.Claimed || m.state == ledger.Invoking }

// takes tells whether h is good by the contract. If the model has lost h's
// grant, it puts it back.
func (m *modelRun) takes(h ledger.Hold, now time.Duration) bool {
	switch {
	case m.state == ledger.Done || m.state == ledger.Published:
		return false
	case m.hold != nil && h.Fence < m.hold.Fence:
		return false
	case m.hold != nil && h.Fence == m.hold.Fence:
		return !m.released
	}
	m.before, m.state = m.state, ledger.Claimed
	if h.Invoking {
		m.state = ledger.Invoking
	}
	m.hold, m.released, m.until = &h, false, now+10*time.Second
	m.attempts, m.claims = max(m.attempts, h.Attempts), max(m.claims, 1)
	return true
}

func (m *machine) accept(r *rapid.T) {
	key, model := m.run(r)
	want := model.state
	if want == ledger.Unknown {
		model.state = ledger.Queued
	}
	equal(r, "Accept", m.tester.accept(key), want)
}

func (m *machine) claim(r *rapid.T) {
	key, model := m.run(r)
	m.owners++
	m.ask(r, key, fmt.Sprint("w", m.owners), rapid.Bool().Draw(r, "begin"), model)
}

func (m *machine) reclaim(r *rapid.T) {
	h, model := m.anyHold(r)
	m.ask(r, string(h.Entry.Key), h.Owner, h.Invoking, model)
}

func (m *machine) ask(r *rapid.T, key, owner string, begin bool, model *modelRun) {
	got := m.tester.ask(ledger.Claim{Entry: entry(key), Owner: owner, Begin: begin})
	want := ledger.Answer{State: model.state, Attempts: model.attempts, Claims: model.claims, Cancelled: model.cancelled}
	repeated := model.state == ledger.Claimed && model.hold.Owner == owner
	again := begin && model.state == ledger.Invoking && model.hold.Owner == owner && model.attempts == 1
	switch {
	case model.state == ledger.Done || model.state == ledger.Published:
		if model.state == ledger.Published {
			want.Claims = 0
		}
		equal(r, "the result", string(got.Result), model.result)
	case model.held() && model.until > m.now && !repeated && !again:
		want.HeldBy = model.hold.Owner
		if d := got.HeldFor - (model.until - m.now); d > 0 || d < -20*time.Second {
			r.Fatalf("held for %s, want about %s", got.HeldFor, model.until-m.now)
		}
	default:
		begun := again || begin && model.state != ledger.Unknown && model.attempts == 0 && !model.cancelled
		m.grant(r, model, got, repeated || again, begun, owner)
		want.State, want.Granted, want.Claims = model.before, true, model.claims
		want.Fresh, want.Attempts = want.State == ledger.Unknown, model.attempts
		if begun {
			want.Attempts = 0
		}
	}
	got.Result, got.HeldFor, want.Hold = nil, 0, got.Hold
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		r.Fatalf("Claim answers\n%+v, want\n%+v", got, want)
	}
}

func (m *machine) grant(r *rapid.T, model *modelRun, got ledger.Answer, repeated, begun bool, owner string) {
	if model.state == ledger.Unknown {
		model.attempts = 1 // the lost record may have had an attempt
	}
	if begun {
		model.attempts = 1
	}
	want := ledger.Hold{Entry: got.Hold.Entry, Owner: owner, Fence: got.Hold.Fence, Attempts: model.attempts, Invoking: begun}
	if repeated {
		want.Fence = model.hold.Fence
	} else {
		model.before, model.state = model.state, ledger.Claimed
		model.claims++
		model.waiting = ""
		m.risen(r, got.Hold)
	}
	if begun {
		model.state = ledger.Invoking
	}
	equal(r, "the hold", got.Hold, want)
	model.hold, model.released, model.until = &want, false, m.now+ttl
	m.holds = append(m.holds, want)
}

// risen checks that a new fence is greater than all earlier fences of the run,
// the lost ones included.
func (m *machine) risen(r *rapid.T, h ledger.Hold) {
	for _, old := range m.holds {
		if old.Entry.Key == h.Entry.Key && old.Fence >= h.Fence {
			r.Fatalf("fence %d after %d", h.Fence, old.Fence)
		}
	}
}

func (m *machine) renew(r *rapid.T) {
	h, model := m.anyHold(r)
	errs, err := m.Ledger.Renew(m.tester.ctx, []ledger.Hold{h}, ttl)
	m.tester.ok(err)
	lost(r, "Renew", errs[0], !model.takes(h, m.now))
	if errs[0] == nil {
		model.until = m.now + ttl
	}
}

func (m *machine) invoking(r *rapid.T) {
	h, model := m.anyHold(r)
	errs, err := m.Ledger.Invoking(m.tester.ctx, []ledger.Hold{h})
	m.tester.ok(err)
	lost(r, "Invoking", errs[0], !model.takes(h, m.now))
	if errs[0] != nil {
		return
	}
	h = h.Begun()
	model.state, model.waiting = ledger.Invoking, ""
	model.attempts = max(model.attempts, h.Attempts)
	m.holds = append(m.holds, h)
}

func (m *machine) wait(r *rapid.T) {
	h, model := m.anyHold(r)
	m.owners++
	reason := fmt.Sprint("reason ", m.owners)
	m.tester.ok(m.Ledger.Wait(m.tester.ctx, h, reason))
	if model.held() && model.hold.Fence == h.Fence {
		model.waiting = reason
	}
}

func (m *machine) release(r *rapid.T) {
	h, model := m.anyHold(r)
	executed := rapid.Bool().Draw(r, "executed")
	m.tester.release(h, executed)
	if !model.takes(h, m.now) {
		return
	}
	model.state, model.released = ledger.Queued, true
	if !executed {
		model.attempts = h.Attempts
		if h.Invoking {
			model.attempts--
		}
	}
}

func (m *machine) finish(r *rapid.T) {
	h, model := m.anyHold(r)
	status := rapid.SampledFrom(run.Statuses).Draw(r, "status")
	m.owners++
	result := fmt.Sprint("result ", m.owners)
	errs, err := m.Ledger.Finish(m.tester.ctx, []ledger.Finish{{Hold: h, Status: status, Result: []byte(result)}})
	m.tester.ok(err)
	if model.state == ledger.Done && model.hold.Fence == h.Fence {
		lost(r, "Finish, repeated,", errs[0], false)
		return
	}
	lost(r, "Finish", errs[0], !model.takes(h, m.now))
	if errs[0] == nil {
		model.state, model.status, model.result, model.waiting = ledger.Done, status, result, ""
		m.finished[status]++
	}
}

func (m *machine) published(r *rapid.T) {
	key, model := m.run(r)
	m.tester.published(key)
	if model.state == ledger.Queued || model.held() {
		m.finished[""]++
	}
	m.runs[key] = &modelRun{state: ledger.Published, status: model.status, attempts: model.attempts}
}

func (m *machine) cancel(r *rapid.T) {
	key, model := m.run(r)
	equal(r, "Cancel", m.tester.cancel(key), model.state)
	model.cancelled = model.cancelled || (model.state != ledger.Done && model.state != ledger.Published)
}

// pass moves the clock. No sum of its steps is a TTL, since the contract does
// not say whether a claim holds at the very moment when it ends.
func (m *machine) pass(r *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{ttl * 2 / 5, ttl + time.Second, 10*time.Second + time.Millisecond*1500}).Draw(r, "pass")
	m.Pass(d)
	m.now += d
}

func (m *machine) flush(r *rapid.T) {
	if rapid.IntRange(0, 3).Draw(r, "really") > 0 {
		r.Skip("not this time")
	}
	m.Flush()
	m.runs, m.finished = map[string]*modelRun{}, map[run.Status]int64{}
}

// check compares the answers of Lookup, Open, Books and Backlogs with the
// model.
func (m *machine) check(r *rapid.T) {
	var open int64
	for _, key := range []string{"k1", "k2"} {
		model := m.of(key)
		got := m.tester.lookup(key)
		want := ledger.Record{Entry: got.Entry, State: model.state, Attempts: model.attempts,
			Cancelled: model.cancelled, Status: model.status, Waiting: model.waiting}
		if model.held() {
			want.Owner = model.hold.Owner
		}
		got.Since, got.ClaimLeft = time.Time{}, 0
		equal(r, "the record", got, want)
		equal(r, "the mark", m.tester.cancelled(key), model.cancelled)
		if model.held() || model.state == ledger.Queued {
			open++
		}
	}
	want := ledger.Books{Accepted: open, Open: open, Finished: m.finished}
	for _, n := range m.finished {
		want.Accepted += n
	}
	got, err := m.Ledger.Books(m.tester.ctx)
	m.tester.ok(err)
	equal(r, "the books", fmt.Sprint(got), fmt.Sprint(want))
	backlogs, err := m.Ledger.Backlogs(m.tester.ctx, []string{"nobody", entry("a").Tenant})
	m.tester.ok(err)
	equal(r, "the backlogs", fmt.Sprint(backlogs), fmt.Sprint([]int64{0, open}))
	all, err := m.Ledger.AllBacklogs(m.tester.ctx)
	m.tester.ok(err)
	each := map[string]int{}
	if open > 0 {
		each[entry("a").Tenant] = int(open)
	}
	equal(r, "all backlogs", fmt.Sprint(all), fmt.Sprint(each))
	listed, err := m.Ledger.Open(m.tester.ctx, 10)
	m.tester.ok(err)
	equal(r, "how many are listed", int64(len(listed)), open)
	if slices.ContainsFunc(listed, func(rec ledger.Record) bool { return rec.State != m.of(string(rec.Entry.Key)).state }) {
		r.Fatalf("open are %+v", listed)
	}
}

func lost(r *rapid.T, what string, err error, want bool) {
	if got := errors.Is(err, ledger.ErrLost); got != want || (err != nil && !got) {
		r.Fatalf("%s fails with %v; lost should be %v", what, err, want)
	}
}

func equal[T comparable](r *rapid.T, what string, got, want T) {
	if got != want {
		r.Fatalf("%s is\n%+v, want\n%+v", what, got, want)
	}
}
