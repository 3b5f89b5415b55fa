package replay

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// fleet answers requests as a test says.
type fleet struct {
	sendTakes time.Duration
	refuse    func(run.Request) error
	answer    func(run.Request) []run.Result // one that succeeded by default
	after     time.Duration                  // until it answers
	failOnce  error                          // of Consume

	mu      sync.Mutex
	sentAt  []time.Time
	calls   int
	results chan run.Result
	back    []run.Result // what was put back
}

func newFleet() *fleet { return &fleet{results: make(chan run.Result, 10_000)} }

func (f *fleet) Send(_ context.Context, ms []queue.Message) []error {
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
	errs := make([]error, len(ms))
	for i, m := range ms {
		var r run.Request
		if err := json.Unmarshal(m.Body, &r); err != nil || m.Group != r.Tenant {
			panic("a body that is none of ours")
		}
		if f.refuse != nil {
			if errs[i] = f.refuse(r); errs[i] != nil {
				continue
			}
		}
		f.mu.Lock()
		f.sentAt = append(f.sentAt, time.Now())
		f.mu.Unlock()
		time.AfterFunc(f.sendTakes+f.after, func() { f.publish(r) })
	}
	time.Sleep(f.sendTakes)
	return errs
}

func (f *fleet) publish(r run.Request) {
	if f.answer == nil {
		f.results <- answerTo(r)
		return
	}
	for _, res := range f.answer(r) {
		f.results <- res
	}
}

func (f *fleet) Consume(ctx context.Context, handle client.Handler) error {
	if err := f.failOnce; err != nil {
		f.failOnce = nil
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-f.results:
			if handle(ctx, client.Received{Result: r, At: time.Now()}) != nil {
				f.back = append(f.back, r)
			}
		}
	}
}

// answerTo is a result of a run that succeeded.
func answerTo(r run.Request) run.Result {
	key := run.KeyOf(r.Tenant, r.Source, r.ID)
	res := run.Run{Request: r, Key: key}.Result(run.Succeeded, time.Now())
	res.Data.Output, res.Data.Attempt = json.RawMessage(`{"ok":true}`), 1
	return res
}

// replayed carries a plan out in a bubble of its own time.
func replayed(t *testing.T, cfg Config, f *fleet, plan Plan) Report {
	t.Helper()
	var report Report
	if cfg.Naming.Label == "" {
		cfg.Naming.Label = "test"
	}
	synctest.Test(t, func(t *testing.T) {
		f.results = make(chan run.Result, 10_000)
		report = New(cfg, Deps{Requests: f, Results: f}, plan).Run(t.Context())
		synctest.Wait()
	})
	return report
}
