// Package replay sends a batch of requests to a fleet as a load test, and
// accounts for the results.
//
// What must hold:
//
//   - Sending is open-loop. A [Plan] fixes when each request is due before the
//     first is sent, and the fleet's behaviour does not change that. Latency is
//     measured from when the request was due, so a late send makes it longer; the
//     lateness is also reported. So a slow fleet cannot hide by slowing the load.
//   - Every run is recorded before its request is sent, so no result can arrive
//     too early to be counted.
//   - Each run is counted once, by its first result. A further result that is the
//     same event is repeated, which queues may do; one that differs is doubled,
//     which a fleet must not do. Any difference counts: two executions of one
//     script may return the same, but do not take the same time. Only for
//     rejections the times are not compared: nothing was executed, and a repeated
//     request is rejected again.
//   - Results of other senders' runs go back to the queue, except results for this
//     replay's own source: those are unexpected, and are reported.
//
// Requests get ids that no earlier replay had, because a repeated (tenant,
// source, id) is the same run. A recorded time is replaced by the time of
// sending, and expires_at moves by the same amount.
package replay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Config configures a replay. A zero value means the default that its field
// names.
type Config struct {
	Naming  Naming
	Senders int           // concurrent calls; default 32
	Tick    time.Duration // how long a request may wait to share a call with others; default 5 ms
	Wait    time.Duration // for results, after the last send; default 5 min
	Linger  time.Duration // for doubled results, after the last first result; default 2 s
}

// Queue is the queue to which requests are sent.
type Queue interface {
	Send(ctx context.Context, ms []queue.Message) []error
}

// Results receives the results; see [client.Client.Consume].
type Results interface {
	Consume(ctx context.Context, handle client.Handler) error
}

// Ledger returns what the fleet has recorded of a run.
type Ledger interface {
	Lookup(ctx context.Context, key run.Key) (ledger.Record, error)
}

// Deps are a Replay's dependencies.
type Deps struct {
	Requests Queue
	Results  Results
	// Ledger finds the runs that were answered before. It is nil if all ids are
	// new to the fleet.
	Ledger Ledger
}

// Replay performs one plan.
type Replay struct {
	cfg   Config
	deps  Deps
	plan  Plan
	books *Books
}

// New prepares a replay of plan.
func New(cfg Config, deps Deps, plan Plan) *Replay {
	if cfg.Senders == 0 {
		cfg.Senders = 32
	}
	if cfg.Tick == 0 {
		cfg.Tick = 5 * time.Millisecond
	}
	if cfg.Wait == 0 {
		cfg.Wait = 5 * time.Minute
	}
	if cfg.Linger == 0 {
		cfg.Linger = 2 * time.Second
	}
	return &Replay{cfg: cfg, deps: deps, plan: plan, books: newBooks(cfg.Naming, len(plan))}
}

// Progress returns the replay's progress. It may be called at any time.
func (r *Replay) Progress() Progress { return r.books.progress(time.Now(), r.cfg.Wait) }

// Run sends everything, waits for the results and reports. If ctx ends early,
// it reports what it has.
func (r *Replay) Run(ctx context.Context) Report {
	r.books.begin(time.Now())
	consuming, stop := context.WithCancel(ctx)
	var consumer sync.WaitGroup
	consumer.Go(func() { r.consume(consuming) })

	r.send(ctx)
	r.books.allSent()
	r.await(ctx)
	stop()
	consumer.Wait()
	return r.books.report(ctx.Err() != nil)
}

// await returns once every result has come, or the wait is over.
func (r *Replay) await(ctx context.Context) {
	wait := time.NewTimer(r.cfg.Wait)
	defer wait.Stop()
	if r.deps.Ledger != nil {
		looking, stop := context.WithCancel(ctx)
		defer stop()
		go r.lookUp(looking)
	}
	select {
	case <-r.books.complete:
	case <-wait.C:
		return
	case <-ctx.Done():
		return
	}
	pause(ctx, r.cfg.Linger)
}

// lookEvery is the interval at which runs without a result are looked up in the
// ledger.
const lookEvery = time.Second

// lookUp finds the runs that were answered before this replay: their results do
// not come again.
func (r *Replay) lookUp(ctx context.Context) {
	for pause(ctx, lookEvery) {
		for _, key := range r.books.pending() {
			if record, err := r.deps.Ledger.Lookup(ctx, key); err == nil && record.State == ledger.Published {
				r.books.published(key, record.Since)
			}
		}
	}
}

// consume continues after an error: a load test reports faults, and does not
// end because of them.
func (r *Replay) consume(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.deps.Results.Consume(ctx, func(_ context.Context, rec client.Received) error {
			if !r.books.take(rec.Result, rec.At) {
				return client.ErrNotMine
			}
			return nil
		})
		if err != nil {
			r.books.receiveFailed(err)
			pause(ctx, time.Second)
		}
	}
}

// pause waits for d. It returns false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Naming gives runs their identities.
type Naming struct {
	Label string // of this replay only
	Keep  bool   // requests keep their own source and id
}

// Source is the source of all requests that do not keep their own.
func (n Naming) Source() string { return "/replay/" + n.Label }

func (n Naming) id(seq int) string { return fmt.Sprintf("%s-%06d", n.Label, seq+1) }

// key is the run that a result for the request names; empty if there is none.
func (n Naming) key(s Send) run.Key {
	if s.Event.invalid != nil {
		return s.Event.answers
	}
	source, id := n.of(s)
	return run.KeyOf(s.Event.Tenant, source, id)
}

func (n Naming) of(s Send) (source, id string) {
	source, id = n.Source(), n.id(s.Seq)
	if n.Keep && s.Event.source != "" {
		source = s.Event.source
	}
	if n.Keep && s.Event.id != "" {
		id = s.Event.id
	}
	return source, id
}
