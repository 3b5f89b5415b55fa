package memledger

import (
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// record is the record of one run. A record in the ledger whose state is
// Unknown is the mark of a cancellation.
type record struct {
	entry ledger.Entry
	state ledger.State
	since time.Time

	owner  string       // of the claim; empty after a release
	fence  int64        // of the last grant
	until  time.Time    // the end of the claim
	before ledger.State // the state before the claim was granted, to answer a repeated Claim

	attempts  int
	claims    int
	cancelled bool
	waiting   string
	status    run.Status
	result    []byte
	expires   time.Time
}

func (r *record) enter(s ledger.State, now time.Time) { r.state, r.since = s, now }

func (r *record) held() bool { return r.state == ledger.Claimed || r.state == ledger.Invoking }

// holds tells whether the record's claim is h.
func (r *record) holds(h ledger.Hold) bool {
	return r.held() && r.owner == h.Owner && r.fence == h.Fence
}

// granted is the answer to a claim that was granted.
func (r *record) granted(c ledger.Claim, attempts int) ledger.Answer {
	return ledger.Answer{
		State: r.before, Granted: true, Fresh: r.before == ledger.Unknown,
		Hold:     ledger.Hold{Entry: c.Entry, Owner: c.Owner, Fence: r.fence, Attempts: attempts},
		Attempts: attempts, Claims: r.claims, Cancelled: r.cancelled,
	}
}

// lost tells whether h is lost, by the rules of package ledger.
func (r *record) lost(h ledger.Hold) bool {
	if r.state == ledger.Done || r.state == ledger.Published {
		return true
	}
	return h.Fence <= r.fence && !r.holds(h)
}

func (r *record) told(now time.Time) ledger.Record {
	t := ledger.Record{Entry: r.entry, State: r.state, Attempts: r.attempts, Cancelled: r.cancelled,
		Status: r.status, Waiting: r.waiting, Since: r.since}
	if r.held() {
		t.Owner, t.ClaimLeft = r.owner, max(0, r.until.Sub(now))
	}
	return t
}

// at returns the record of a run. For an unknown run it returns a new record,
// which is not in the ledger until keep or first puts it there.
func (l *Ledger) at(k run.Key, now time.Time) *record {
	r := l.records[k]
	if r == nil || !r.expires.After(now) {
		r = &record{}
		r.entry.Key = k
	}
	return r
}

func (l *Ledger) keep(r *record, e ledger.Entry) {
	r.entry = e
	l.records[e.Key] = r
}

// first puts a new record into the ledger and counts the run as open.
func (l *Ledger) first(r *record, e ledger.Entry, now time.Time) {
	l.keep(r, e)
	r.expires = now.Add(l.cfg.Keep)
	if _, open := l.open[e.Key]; !open {
		l.open[e.Key] = now
		l.tenants[e.Key] = e.Tenant
		l.backlogs[e.Tenant]++
	}
}

// close moves a run from the open ones to the finished ones.
func (l *Ledger) close(k run.Key, s run.Status) {
	if tenant, open := l.tenants[k]; open {
		if l.backlogs[tenant]--; l.backlogs[tenant] <= 0 {
			delete(l.backlogs, tenant)
		}
	}
	delete(l.open, k)
	delete(l.tenants, k)
	l.finished[s]++
}

// putBack makes h the record's claim. h must not be lost. If h is not the
// record's claim already, the ledger has lost its grant.
func (l *Ledger) putBack(r *record, h ledger.Hold, now time.Time) {
	if r.holds(h) {
		return
	}
	if r.state == ledger.Unknown {
		l.first(r, h.Entry, now)
	}
	r.before = r.state
	r.enter(ledger.Claimed, now)
	if h.Invoking {
		r.enter(ledger.Invoking, now)
	}
	r.owner, r.fence, r.until = h.Owner, h.Fence, now.Add(l.cfg.PutBack)
	r.attempts, r.claims = max(r.attempts, h.Attempts), max(r.claims, 1)
	l.fence = max(l.fence, h.Fence)
}

// sweep looks at two records, in random order, and deletes those that have
// expired. Every operation calls it, so expired records stay a small share of
// all.
func (l *Ledger) sweep(now time.Time) {
	looked := 0
	for k, r := range l.records { // in random order
		if looked++; looked > 2 {
			return
		}
		if !r.expires.After(now) {
			delete(l.records, k)
		}
	}
}
