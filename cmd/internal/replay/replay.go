// Package replay sends a batch of requests to a fleet as a load test must, and
// keeps books of what comes back.
//
// What must hold:
//
//   - Sending is open-loop. A [Plan] fixes when each request is due before the
//     first is sent; nothing that the fleet does moves it. A send that is late
//     counts against us: latency is measured from when the request was due, and
//     the lateness is reported beside it. A slow fleet can thus not hide its
//     slowness by slowing the load down.
//   - Every run is known before its request is sent, so that no result can come
//     too early to be counted.
//   - Each run is counted once, by its first result. A further result that is
//     the same event is repeated, which queues may do; one that differs is
//     doubled, which a fleet must not do. Differs means in anything at all: two
//     executions of one script may well return the same, but not take the same
//     time. Only of rejections, where nothing was executed and a repeated
//     request is simply rejected again, times are left out.
//   - Results of nobody that was sent here go back to their queue, but for those
//     of this replay's own source: these are unexpected, and are reported.
//
// Requests get ids that no replay had before, since the same (tenant, source,
// id) twice is one run. Their recorded time becomes that of their sending, and
// what they expire at moves along.
package replay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/client"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Config says how a plan is carried out. Zero values stand for the defaults that
// the fields name.
type Config struct {
	Naming  Naming
	Senders int           // calls that send at a time; 32
	Tick    time.Duration // how long a request may wait to share a call with others; 5 ms
	Wait    time.Duration // for results, after the last send; 5 min
	Linger  time.Duration // for doubled results, after the last first one; 2 s
}

// Queue is where requests are sent.
type Queue interface {
	Send(ctx context.Context, ms []queue.Message) []error
}

// Results is where they are answered; see [client.Client.Consume].
type Results interface {
	Consume(ctx context.Context, take func(client.Received) (mine bool)) error
}

// Ledger tells what the fleet knows of a run.
type Ledger interface {
	Lookup(ctx context.Context, key run.Key) (ledger.Record, error)
}

// Deps are the two ends of the fleet.
type Deps struct {
	Requests Queue
	Results  Results
	// Ledger tells which runs were answered before. It is nil where all ids are
	// new to the fleet.
	Ledger Ledger
}

// Replay carries out one plan.
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

// Progress tells how far the replay is. It may be called at any time.
func (r *Replay) Progress() Progress { return r.books.progress(time.Now(), r.cfg.Wait) }

// Run sends everything, waits for the results and reports. When ctx ends early,
// it reports what there is.
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

// await returns once every result has come, or the wait for them is over.
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

// lookEvery is how often runs without a result are looked up.
const lookEvery = time.Second

// lookUp finds the runs that were answered before this replay: their results
// came then, and don't come again.
func (r *Replay) lookUp(ctx context.Context) {
	for pause(ctx, lookEvery) {
		for _, key := range r.books.pending() {
			if record, err := r.deps.Ledger.Lookup(ctx, key); err == nil && record.State == ledger.Published {
				r.books.published(key, record.Since)
			}
		}
	}
}

// consume goes on after an error: a load test tells of a fault, and does not end
// by it.
func (r *Replay) consume(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.deps.Results.Consume(ctx, func(rec client.Received) bool {
			return r.books.take(rec.Result, rec.At)
		})
		if err != nil {
			r.books.receiveFailed(err)
			pause(ctx, time.Second)
		}
	}
}

// pause tells whether d passed before ctx ended.
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
	Label string // of this replay, and no other
	Keep  bool   // leave requests the source and the id that they have
}

// Source is that of all requests which have none of their own to keep.
func (n Naming) Source() string { return "/replay/" + n.Label }

func (n Naming) id(seq int) string { return fmt.Sprintf("%s-%06d", n.Label, seq+1) }

// key is that of the run that answers a request; empty where none does.
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
