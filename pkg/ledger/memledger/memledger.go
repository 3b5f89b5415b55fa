// Package memledger keeps the ledger in the memory of one process, for tests
// and simulations. It uses the clock of package time, so it follows the fake
// clock of testing/synctest. Forget is like Redis' FLUSHALL.
package memledger

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Config says how long records are kept. A zero value stands for the default.
type Config struct {
	// Keep is how long the record of a run that is not published is kept, after
	// the run was last accepted, claimed or finished. Default 14 days, the
	// longest that SQS keeps a message.
	Keep time.Duration
	// Remember is how long the record of a published run is kept, and the mark
	// of a cancellation whose run has no record. Default 4 days.
	Remember time.Duration
	// PutBack is the TTL of a claim that Invoking puts back into a lost record.
	// Default 10 s.
	PutBack time.Duration
	// Recent is how many summaries of finished runs are kept of each tenant, and
	// RecentFor is how long, after its last one. Defaults 200 and 3 days.
	Recent    int
	RecentFor time.Duration
}

// latest is how many summaries are kept of all tenants together, and as many of
// runs that did not succeed.
func (c Config) latest() int { return 5 * c.Recent }

// Ledger implements ledger.Ledger.
type Ledger struct {
	cfg Config

	mu       sync.Mutex
	records  map[run.Key]*record
	open     map[run.Key]time.Time // accepted and not finished, since when
	tenants  map[run.Key]string    // the tenant of each open run
	backlogs map[string]int        // how many open runs each tenant has
	finished map[run.Status]int64
	recent   map[string]*recent        // by tenant
	latest   map[bool][]ledger.Summary // of all tenants; true: those that did not succeed
	fence    int64                     // the greatest granted so far; Forget keeps it
}

var _ ledger.Ledger = (*Ledger)(nil)

// New returns an empty ledger.
func New(cfg Config) *Ledger {
	if cfg.Keep == 0 {
		cfg.Keep = 14 * 24 * time.Hour
	}
	if cfg.Remember == 0 {
		cfg.Remember = 4 * 24 * time.Hour
	}
	if cfg.PutBack == 0 {
		cfg.PutBack = 10 * time.Second
	}
	if cfg.Recent == 0 {
		cfg.Recent = 200
	}
	if cfg.RecentFor == 0 {
		cfg.RecentFor = 3 * 24 * time.Hour
	}
	l := &Ledger{cfg: cfg}
	l.Forget()
	return l
}

// Forget drops everything but the fence, like Redis' FLUSHALL. (redisledger's
// next fence is greater too, since it comes from the server's clock.)
func (l *Ledger) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = map[run.Key]*record{}
	l.latest = map[bool][]ledger.Summary{}
	l.open = map[run.Key]time.Time{}
	l.tenants, l.backlogs = map[run.Key]string{}, map[string]int{}
	l.finished, l.recent = map[run.Status]int64{}, map[string]*recent{}
}

func (l *Ledger) Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	states := make([]ledger.State, len(es))
	for i, e := range es {
		r := l.at(e.Key, now)
		states[i] = r.state
		if r.state == ledger.Unknown {
			l.first(r, e, now)
			r.enter(ledger.Queued, now)
		}
	}
	return states, nil
}

func (l *Ledger) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	answers := make([]ledger.Answer, len(cs))
	for i, c := range cs {
		answers[i] = l.claim(c, now, ttl)
	}
	return answers, nil
}

func (l *Ledger) claim(c ledger.Claim, now time.Time, ttl time.Duration) ledger.Answer {
	r := l.at(c.Entry.Key, now)
	switch {
	case r.state == ledger.Done || r.state == ledger.Published:
		return ledger.Answer{State: r.state, Attempts: r.attempts, Claims: r.claims, Cancelled: r.cancelled, Result: slices.Clone(r.result)}
	case c.Begin && r.state == ledger.Invoking && r.owner == c.Owner && r.attempts == 1:
		// A repeated call: the same grant.
		r.until = now.Add(ttl)
		return begun(r.granted(c, 0))
	case r.state == ledger.Claimed && r.owner == c.Owner:
		r.until = now.Add(ttl)
	case r.held() && r.until.After(now):
		return ledger.Answer{State: r.state, Attempts: r.attempts, Claims: r.claims, Cancelled: r.cancelled,
			HeldBy: r.owner, HeldFor: r.until.Sub(now)}
	default:
		l.grant(r, c, now, ttl)
	}
	if c.Begin && r.attempts == 0 && !r.cancelled {
		r.state, r.attempts = ledger.Invoking, 1
		return begun(r.granted(c, 0))
	}
	return r.granted(c, r.attempts)
}

// begun is the answer to a claim that has counted its attempt.
func begun(a ledger.Answer) ledger.Answer {
	a.Hold = a.Hold.Begun()
	return a
}

func (l *Ledger) grant(r *record, c ledger.Claim, now time.Time, ttl time.Duration) {
	l.fence = max(l.fence+1, r.fence+1, now.UnixMicro())
	r.before = r.state
	if r.state == ledger.Unknown {
		l.first(r, c.Entry, now)
		r.attempts = 1 // the lost record may have had an attempt
	}
	r.enter(ledger.Claimed, now)
	r.owner, r.fence, r.until = c.Owner, l.fence, now.Add(ttl)
	r.claims++
	r.waiting = ""
	r.expires = now.Add(l.cfg.Keep)
}

func (l *Ledger) Renew(ctx context.Context, hs []ledger.Hold, ttl time.Duration) ([]error, error) {
	return l.each(ctx, hs, func(r *record, _ ledger.Hold, now time.Time) { r.until = now.Add(ttl) })
}

func (l *Ledger) Invoking(ctx context.Context, hs []ledger.Hold) ([]error, error) {
	return l.each(ctx, hs, func(r *record, h ledger.Hold, now time.Time) {
		r.enter(ledger.Invoking, now)
		r.attempts = max(r.attempts, h.Begun().Attempts)
		r.waiting = ""
	})
}

// each calls do for the record of each hold that is not lost.
func (l *Ledger) each(ctx context.Context, hs []ledger.Hold, do func(r *record, h ledger.Hold, now time.Time)) ([]error, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	errs := make([]error, len(hs))
	for i, h := range hs {
		r := l.at(h.Entry.Key, now)
		if r.lost(h) {
			errs[i] = ledger.ErrLost
			continue
		}
		l.putBack(r, h, now)
		do(r, h, now)
	}
	return errs, nil
}

func (l *Ledger) Together(ctx context.Context, cs ledger.Calls) ledger.Answers {
	return ledger.Apart(ctx, l, cs)
}

func (l *Ledger) Wait(ctx context.Context, h ledger.Hold, reason string) error {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if r := l.at(h.Entry.Key, now); r.holds(h) {
		r.waiting = reason
	}
	return nil
}

func (l *Ledger) Release(ctx context.Context, h ledger.Hold, executed bool) error {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r := l.at(h.Entry.Key, now)
	if r.lost(h) {
		return nil
	}
	l.putBack(r, h, now)
	if !executed {
		r.attempts = h.Attempts
		if h.Invoking {
			r.attempts--
		}
	}
	r.enter(ledger.Queued, now)
	r.owner, r.until = "", time.Time{}
	return nil
}

func (l *Ledger) Finish(ctx context.Context, fs []ledger.Finish) ([]error, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	errs := make([]error, len(fs))
	for i, f := range fs {
		r := l.at(f.Hold.Entry.Key, now)
		switch {
		case r.state == ledger.Done && r.owner == f.Hold.Owner && r.fence == f.Hold.Fence:
			// A repeated call: nothing changes.
		case r.lost(f.Hold):
			errs[i] = ledger.ErrLost
		default:
			l.putBack(r, f.Hold, now)
			r.enter(ledger.Done, now)
			r.status, r.result, r.waiting = f.Status, slices.Clone(f.Result), ""
			r.expires = now.Add(l.cfg.Keep)
			l.close(f.Hold.Entry.Key, f.Status)
			l.summarize(f.Summary, now)
		}
	}
	return errs, nil
}

func (l *Ledger) Published(ctx context.Context, keys []run.Key) error {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, k := range keys {
		r := l.at(k, now)
		if r.state == ledger.Published {
			continue
		}
		if _, open := l.open[k]; open {
			l.close(k, "")
		}
		p := &record{status: r.status, attempts: r.attempts, expires: now.Add(l.cfg.Remember)}
		p.entry.Key = k
		p.enter(ledger.Published, now)
		l.records[k] = p
	}
	return nil
}

func (l *Ledger) Cancel(ctx context.Context, e ledger.Entry) (ledger.State, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return ledger.Unknown, err
	}
	defer unlock()
	r := l.at(e.Key, now)
	switch r.state {
	case ledger.Done, ledger.Published:
		return r.state, nil
	case ledger.Unknown:
		l.keep(r, e)
		r.enter(ledger.Unknown, now)
		r.expires = now.Add(l.cfg.Remember)
	}
	r.cancelled = true
	return r.state, nil
}

func (l *Ledger) Cancelled(ctx context.Context, keys []run.Key) ([]bool, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	marks := make([]bool, len(keys))
	for i, k := range keys {
		marks[i] = l.at(k, now).cancelled
	}
	return marks, nil
}

func (l *Ledger) Lookup(ctx context.Context, key run.Key) (ledger.Record, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return ledger.Record{}, err
	}
	defer unlock()
	return l.at(key, now).told(now), nil
}

func (l *Ledger) Open(ctx context.Context, limit int) ([]ledger.Record, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	keys := make([]run.Key, 0, len(l.open))
	for k := range l.open {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b run.Key) int {
		if c := l.open[a].Compare(l.open[b]); c != 0 {
			return c
		}
		return slices.Compare([]byte(a), []byte(b))
	})
	keys = keys[:max(0, min(limit, len(keys)))]
	records := make([]ledger.Record, len(keys))
	for i, k := range keys {
		records[i] = l.at(k, now).told(now)
		if records[i].State == ledger.Unknown {
			records[i].Since = l.open[k]
		}
	}
	return records, nil
}

func (l *Ledger) Books(ctx context.Context) (ledger.Books, error) {
	_, unlock, err := l.enter(ctx)
	if err != nil {
		return ledger.Books{}, err
	}
	defer unlock()
	b := ledger.Books{Open: int64(len(l.open)), Finished: map[run.Status]int64{}}
	b.Accepted = b.Open
	for s, n := range l.finished {
		b.Finished[s] = n
		b.Accepted += n
	}
	return b, nil
}

func (l *Ledger) Backlogs(ctx context.Context, tenants []string) ([]int, error) {
	_, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	backlogs := make([]int, len(tenants))
	for i, t := range tenants {
		backlogs[i] = l.backlogs[t]
	}
	return backlogs, nil
}

func (l *Ledger) AllBacklogs(ctx context.Context) (map[string]int, error) {
	_, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return maps.Clone(l.backlogs), nil
}

// enter locks the ledger for one operation, and returns the time at which all
// of the operation happens.
func (l *Ledger) enter(ctx context.Context) (now time.Time, unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, nil, err
	}
	l.mu.Lock()
	now = time.Now()
	l.sweep(now)
	return now, l.mu.Unlock, nil
}
