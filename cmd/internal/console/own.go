package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Bounds of ownRuns.
const (
	maxOwn         = 200                    // runs
	maxKept        = 64 << 20               // bytes of requests and results
	maxAwaited     = 32                     // runs without a result
	lookEvery      = 250 * time.Millisecond // at the runs without a result
	goneAfter      = 20 * time.Second       // a published result that was not received by then went to another consumer
	forgottenAfter = 15 * time.Minute       // a run that the ledger does not know by then has no answer that can be found
)

// ownRun is a run that this console has sent. Its fields are guarded by ownRuns.
type ownRun struct {
	key     run.Key
	request run.Request
	env     run.EnvHash // of its layer; empty for none, or for a request that the fleet will refuse
	before  *ownRun     // the last run of the same script
	sent    time.Time

	result    *run.Result
	bytes     int
	published time.Time // since when the ledger says so
	gone      bool      // its result went to another consumer
}

// done tells whether no result is waited for.
func (o *ownRun) done() bool { return o.result != nil || o.gone }

// ownRuns are the runs that this console has sent, and their results.
type ownRuns struct {
	client *client.Client // Results is nil where no results are read
	ledger ledger.Ledger
	policy *run.Policy
	log    *zap.Logger

	mu    sync.Mutex
	byKey map[run.Key]*ownRun
	order []*ownRun // the oldest first
	bytes int
}

func newOwnRuns(ctx context.Context, cfg Config, deps Deps) (*ownRuns, error) {
	requests, err := deps.Fleet.Requests(ctx)
	if err != nil {
		return nil, err
	}
	o := &ownRuns{
		client: &client.Client{Requests: requests, PollWait: time.Second, Report: func(err error) { deps.Log.Warn("console: a result cannot be read", zap.Error(err)) }},
		ledger: deps.Fleet.Ledger, policy: deps.Fleet.Policy, log: deps.Log, byKey: map[run.Key]*ownRun{},
	}
	if cfg.Results != ResultsNone {
		o.client.Results, err = results(ctx, cfg.Results, deps.Fleet)
	}
	return o, err
}

// results opens the queue that results are read from.
func results(ctx context.Context, name string, fleet *wire.Fleet) (queue.Queue, error) {
	if name == "" {
		return fleet.Results(ctx)
	}
	return fleet.Copied(ctx, name)
}

// errBusy is the error of a run while too many others wait.
var errBusy = fmt.Errorf("%d runs of this console have no result yet: wait for one, or cancel it", maxAwaited)

// send enqueues a request.
func (o *ownRuns) send(ctx context.Context, request run.Request) (*ownRun, error) {
	body, err := request.Encode()
	if err != nil {
		return nil, err
	}
	own := &ownRun{key: keyOf(request), request: request, sent: time.Now(), bytes: len(body)}
	if o.policy != nil {
		if decoded, refused := o.policy.Decode(body, time.Now()); refused == nil {
			own.env = decoded.Script.EnvHash
		}
	}
	if err := o.add(own); err != nil {
		return nil, err
	}
	if err := o.client.Send(ctx, request)[0]; err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		own.gone = true
		return nil, err
	}
	return own, nil
}

func (o *ownRuns) add(own *ownRun) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting := 0
	for _, other := range o.order {
		if !other.done() {
			waiting++
		}
		if sameScript(other.request, own.request) {
			own.before = other
		}
	}
	if waiting >= maxAwaited {
		return errBusy
	}
	o.byKey[own.key], o.order, o.bytes = own, append(o.order, own), o.bytes+own.bytes
	for len(o.order) > maxOwn || o.bytes > maxKept && len(o.order) > 1 {
		first := o.order[0]
		delete(o.byKey, first.key)
		o.order, o.bytes = o.order[1:], o.bytes-first.bytes
		for _, other := range o.order {
			if other.before == first {
				other.before = nil
			}
		}
	}
	return nil
}

// sameScript tells whether two requests are of one function.
func sameScript(a, b run.Request) bool {
	return a.Type == b.Type && a.Tenant == b.Tenant && a.Data.Script == b.Data.Script && a.Data.Requirements == b.Data.Requirements &&
		a.Data.Runtime == b.Data.Runtime && a.Data.TimeoutSeconds == b.Data.TimeoutSeconds
}

// get returns a copy of a run, and of the run before it.
func (o *ownRuns) get(key run.Key) (own, before ownRun, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	found, ok := o.byKey[key]
	if !ok {
		return own, before, false
	}
	if found.before != nil {
		before = *found.before
	}
	return *found, before, true
}

// run receives the results of the runs until ctx ends.
func (o *ownRuns) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := o.collect(ctx); err != nil && ctx.Err() == nil {
			o.log.Warn("console: the results of its runs cannot be read; trying again", zap.Error(err))
		}
	}
}

// collect receives results if one of the console's own was published.
func (o *ownRuns) collect(ctx context.Context) error {
	for _, key := range o.awaited() {
		record, err := o.ledger.Lookup(ctx, key)
		if err != nil {
			return err
		}
		switch record.State {
		case ledger.Published:
			o.notePublished(key)
		case ledger.Unknown:
			o.forget(key)
		}
	}
	if o.client.Results == nil || !o.anyPublished() {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return o.client.Consume(ctx, func(_ context.Context, r client.Received) error {
		defer func() {
			if !o.anyPublished() {
				stop()
			}
		}()
		return o.take(r.Result)
	})
}

// awaited are the runs without a result.
func (o *ownRuns) awaited() (keys []run.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, own := range o.order {
		if !own.done() && own.published.IsZero() {
			keys = append(keys, own.key)
		}
	}
	return keys
}

// forget gives up a run that the ledger does not know long after it was sent.
func (o *ownRuns) forget(key run.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if own := o.byKey[key]; own != nil && time.Since(own.sent) > forgottenAfter {
		own.gone = true
	}
}

func (o *ownRuns) notePublished(key run.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if own := o.byKey[key]; own != nil && own.published.IsZero() {
		own.published = time.Now()
		own.gone = o.client.Results == nil
	}
}

// anyPublished tells whether a result of the console's own is on the results
// queue. One that is not found is given up.
func (o *ownRuns) anyPublished() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := false
	for _, own := range o.order {
		if own.done() || own.published.IsZero() {
			continue
		}
		own.gone = time.Since(own.published) > goneAfter
		found = found || !own.gone
	}
	return found
}

// take keeps a result of a run of this console.
func (o *ownRuns) take(res run.Result) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	own := o.byKey[res.ID]
	if own == nil {
		return client.ErrNotMine
	}
	body, err := res.Encode()
	if err != nil {
		return errors.Join(client.ErrNotMine, err)
	}
	own.result = &res
	own.bytes += len(body)
	o.bytes += len(body)
	return nil
}
