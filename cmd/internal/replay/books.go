package replay

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Books record what was sent and the results. They are safe for concurrent use.
type Books struct {
	naming   Naming
	requests int           // of the plan
	complete chan struct{} // closed once everything is sent and answered

	mu        sync.Mutex
	start     time.Time
	lastSend  time.Time
	lastFirst time.Time // when the last first result of a run came
	ended     bool      // nothing more will be sent
	runs      map[run.Key]*entry
	order     []*entry // by the time of sending
	oldest    int      // all entries before this index are settled

	sent, sendErrors, results, failed   int
	before, unanswerable                int // runs answered before this replay; requests without an identity
	repeated, doubled, unexpected       int
	others, receiveErrors               int
	firstSendError, lastReceiveError    error
	doubledRuns, unexpectedRuns, reruns []run.Key // the first `named` of them
	figures                             *figures
}

// entry is a run that was sent.
type entry struct {
	key           run.Key
	send          Send
	sentAt        time.Time
	sends, failed int // calls, and failed calls
	content       uint64
	answered      bool
	before        bool // its result came before this replay
	doubled       bool
}

// pending tells whether a result is still expected. If no send succeeded, none
// is.
func (e *entry) pending() bool { return !e.answered && !e.before && e.failed < e.sends }

// named bounds the number of runs that a report names.
const named = 100

func newBooks(naming Naming, requests int) *Books {
	return &Books{
		naming: naming, requests: requests, complete: make(chan struct{}),
		runs: make(map[run.Key]*entry, requests), figures: newFigures(),
	}
}

// begin sets the time from which the plan counts.
func (b *Books) begin(start time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start, b.lastSend, b.lastFirst = start, start, start
}

// sending records requests that are about to be sent.
func (b *Books) sending(due Plan, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastSend = now
	for _, s := range due {
		if e := b.entry(s, now); e != nil {
			e.sends++
		}
		b.figures.late(now.Sub(b.start.Add(s.At)))
	}
}

// entry returns the run of a request, or nil if the request names none.
func (b *Books) entry(s Send, now time.Time) *entry {
	key := b.naming.key(s)
	if key == "" {
		return nil
	}
	e := b.runs[key]
	if e == nil {
		e = &entry{key: key, send: s, sentAt: now}
		b.runs[key] = e
		b.order = append(b.order, e)
		b.figures.timeline.at(now.Sub(b.start)).sent++
		b.figures.tenant(s.Event.Tenant).Runs++
	}
	return e
}

// answered records the result of the call that sent them.
func (b *Books) answered(due Plan, errs []error, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.figures.call(took)
	for i, s := range due {
		if errs[i] == nil {
			b.sent++
			if b.naming.key(s) == "" {
				b.unanswerable++
			}
			continue
		}
		e := b.entry(s, b.lastSend)
		if e != nil {
			e.failed++
		}
		if e != nil && e.failed == e.sends && !e.answered {
			b.failed++
			b.figures.timeline.at(b.lastSend.Sub(b.start)).failed++
		}
		b.sendErrors++
		if b.firstSendError == nil {
			b.firstSendError = errs[i]
		}
	}
}

// allSent records that the plan is complete, or given up.
func (b *Books) allSent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.checkComplete()
}

func (b *Books) checkComplete() {
	if !b.ended || b.results+b.failed+b.before < len(b.runs) {
		return
	}
	select {
	case <-b.complete:
	default:
		close(b.complete)
	}
}

// take records a result, and tells whether it belongs to this replay.
func (b *Books) take(r run.Result, at time.Time) (mine bool) {
	content := contentOf(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.runs[r.ID]
	switch {
	case e == nil && r.Data.Story != b.naming.Source():
		b.others++
		return false
	case e == nil:
		b.unexpected++
		note(&b.unexpectedRuns, r.ID)
	case !e.answered:
		b.takeFirst(e, r, content, at)
	case e.content == content:
		b.repeated++
	case !e.doubled:
		e.doubled = true
		b.doubled++
		note(&b.doubledRuns, r.ID)
	}
	return true
}

func (b *Books) takeFirst(e *entry, r run.Result, content uint64, at time.Time) {
	if e.before {
		e.before = false
		b.before-- // it was published once more
	} else if e.failed == e.sends {
		b.failed-- // the send succeeded after all
		b.figures.timeline.at(at.Sub(b.start)).failed--
	}
	e.answered, e.content = true, content
	b.results++
	b.lastFirst = at
	if r.Data.Attempt > 1 {
		note(&b.reruns, r.ID)
	}
	b.figures.result(r, e.send.At, at.Sub(b.start))
	b.checkComplete()
}

// pending are the runs whose results are still expected.
func (b *Books) pending() (keys []run.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.order {
		if e.pending() {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// published records that the ledger has the run as published since then. If
// that was before this replay, its result is not expected.
func (b *Books) published(key run.Key, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.runs[key]; e.pending() && since.Before(b.start) {
		e.before = true
		b.before++
		b.checkComplete()
	}
}

func (b *Books) receiveFailed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receiveErrors++
	b.lastReceiveError = err
}

func note(keys *[]run.Key, key run.Key) {
	if len(*keys) < named {
		*keys = append(*keys, key)
	}
}

var contentSeed = maphash.MakeSeed()

// contentOf is a hash by which two results of one run are compared; the
// package's documentation gives the exception.
func contentOf(r run.Result) uint64 {
	if r.Data.Status == run.Rejected {
		r.Time, r.Data.Timings = time.Time{}, run.Timings{}
	}
	body, _ := r.Encode() // cannot fail: it was just decoded
	return maphash.Bytes(contentSeed, body)
}
