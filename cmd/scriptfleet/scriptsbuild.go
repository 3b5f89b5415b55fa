package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ahead are builds without runs that a command waits for.
type ahead struct {
	line *progress.Line
	stop context.CancelFunc // called once none is waited for

	mu      sync.Mutex
	waiting map[run.Key]*pushed
}

// buildAhead asks the fleet to build the versions, and waits for its answers.
func buildAhead(ctx context.Context, fleet *wire.Fleet, done []*pushed, wait time.Duration) error {
	cl, err := embedded.Client(ctx, fleet)
	if err != nil {
		return err
	}
	cl.PollWait = time.Second // the longest time that Ctrl-C waits
	a := &ahead{line: progress.Stderr(), waiting: map[run.Key]*pushed{}}
	defer a.line.Stop()
	var requests []run.Request
	for _, p := range done {
		r := run.Request{
			SpecVersion: run.SpecVersion, Type: run.TypeSaved, Source: "/scriptfleet/scripts", ID: uuid.NewString(), Tenant: p.name.Tenant,
			Data: run.RequestData{Action: p.ID, ScriptRef: run.Reference{ID: p.ID, Version: p.Version}.String()},
		}
		a.waiting[run.KeyOf(r.Tenant, r.Source, r.ID)] = p
		requests = append(requests, r)
	}
	if err := errors.Join(cl.Send(ctx, requests...)...); err != nil {
		return fmt.Errorf("ask for the builds: %w", err)
	}
	ctx, a.stop = context.WithTimeout(ctx, wait)
	defer a.stop()
	a.line.Say("building %d scripts", len(done))
	if fleet.Ledger != nil {
		go a.watch(ctx, fleet.Ledger)
	}
	err = cl.Consume(ctx, a.take)
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.waiting); n > 0 {
		return errors.Join(err, fmt.Errorf("the answers to %d builds have not come within %s; the scripts are pushed, and their first runs build what is not built: does a worker run, and does another consumer take the results (then give --redis-url, or --no-build)?", n, wait))
	}
	return nil
}

// take keeps the answers to the builds, and leaves all other results.
func (a *ahead) take(_ context.Context, r client.Received) error {
	if !a.ended(r.ID, r.Data.Status, &r.Result) {
		return client.ErrNotMine
	}
	return nil
}

// ended notes how a build ended; res is nil if another consumer has its result.
func (a *ahead) ended(key run.Key, s run.Status, res *run.Result) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, mine := a.waiting[key]
	if !mine {
		return false
	}
	p.Status, p.Build = s, res
	delete(a.waiting, key)
	if a.line.Say("building %d scripts", len(a.waiting)); len(a.waiting) == 0 {
		a.stop()
	}
	return true
}

// grace is how long a published result is waited for before another consumer
// is taken to have it.
const grace = 3 * time.Second

// watch asks the ledger for builds whose results go to another consumer.
func (a *ahead) watch(ctx context.Context, books ledger.Ledger) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	published := map[run.Key]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, key := range a.keys() {
			r, err := books.Lookup(ctx, key)
			if err != nil || r.State != ledger.Published {
				continue
			}
			if since, ok := published[key]; !ok {
				published[key] = time.Now()
			} else if time.Since(since) > grace {
				a.ended(key, r.Status, nil)
			}
		}
	}
}

func (a *ahead) keys() (keys []run.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key := range a.waiting {
		keys = append(keys, key)
	}
	return keys
}
