package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// noop is the script of all loads; Python starts it in a warm process.
const noop = "def main(input):\n    return None\n"

// equals is how many tenants send a load, the same each.
const equals = 10

// ask is a request.
type ask struct {
	tenant, script, requirements string
	input                        any
}

func (a ask) message(id string) (queue.Message, error) {
	input, err := json.Marshal(a.input)
	if err != nil {
		return queue.Message{}, err
	}
	if a.input == nil {
		input = []byte("{}")
	}
	body, err := json.Marshal(run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/bench", ID: id, Tenant: a.tenant,
		Data: run.RequestData{Script: a.script, Requirements: a.requirements, Input: input},
	})
	return queue.Message{Body: body, Group: a.tenant}, err
}

func tenant(i int) string { return fmt.Sprint("equal-", i%equals) }

// answers notes when the result of each run has arrived.
type answers struct {
	mu      sync.Mutex
	at      map[string]time.Time
	status  map[run.Status]int
	spent   run.Timings   // of all runs together
	changed chan struct{} // closed and replaced with each result
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// listen receives results until the caller calls end.
func (f *fleet) listen(ctx context.Context) *answers {
	ctx, stop := context.WithCancel(ctx)
	a := &answers{at: map[string]time.Time{}, status: map[run.Status]int{}, changed: make(chan struct{}), stop: stop}
	for range 4 {
		a.done.Go(func() {
			for ctx.Err() == nil {
				ds, err := f.results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: time.Minute})
				if err != nil || len(ds) == 0 {
					continue
				}
				a.take(ds, time.Now())
				f.results.Delete(context.WithoutCancel(ctx), ds) // else a later run takes them for its own
			}
		})
	}
	return a
}

func (a *answers) end() {
	a.stop()
	a.done.Wait()
}

func (a *answers) take(ds []queue.Delivery, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range ds {
		var result struct {
			Subject string `json:"subject"`
			Data    struct {
				Status  run.Status  `json:"status"`
				Timings run.Timings `json:"timings_ms"`
			} `json:"data"`
		}
		if json.Unmarshal(d.Body, &result) == nil && a.at[result.Subject].IsZero() {
			a.at[result.Subject] = now
			a.status[result.Data.Status]++
			t := result.Data.Timings
			a.spent.Intake += t.Intake
			a.spent.Queue += t.Queue
			a.spent.Execute += t.Execute
			a.spent.Publish += t.Publish
		}
	}
	close(a.changed)
	a.changed = make(chan struct{})
}

// await returns once there are n results, all of them successes.
func (a *answers) await(ctx context.Context, n int) error {
	for {
		a.mu.Lock()
		got, succeeded, changed := len(a.at), a.status[run.Succeeded], a.changed
		a.mu.Unlock()
		if got >= n && succeeded == got {
			return nil
		}
		if got >= n {
			return fmt.Errorf("of %d runs %d succeeded: %v", got, succeeded, a.status)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d results have come: %w", got, n, ctx.Err())
		}
	}
}

// burst is the time from the first request to the last result of so many runs
// of equal tenants, all sent at once.
func (f *fleet) burst(ctx context.Context, runs int) (time.Duration, error) {
	var batches [][]queue.Message
	for i := range runs {
		m, err := ask{tenant: tenant(i), script: noop}.message(nextID())
		if err != nil {
			return 0, err
		}
		if i%queue.MaxBatch == 0 {
			batches = append(batches, nil)
		}
		batches[len(batches)-1] = append(batches[len(batches)-1], m)
	}
	got := f.listen(ctx)
	defer got.end()
	began := time.Now()
	next := make(chan []queue.Message, len(batches))
	for _, batch := range batches {
		next <- batch
	}
	close(next)
	failed := make(chan error, len(batches))
	for range 4 {
		go func() {
			for batch := range next {
				failed <- errors.Join(f.requests.Send(ctx, batch)...)
			}
		}()
	}
	for range batches {
		if err := <-failed; err != nil {
			return 0, err
		}
	}
	err := got.await(ctx, runs)
	return time.Since(began), err
}

// steady sends runs of equal tenants at a rate. It returns the sorted times from
// each one's sending to its result, and what all of them spent by their results.
func (f *fleet) steady(ctx context.Context, runs, rate int) ([]time.Duration, run.Timings, error) {
	got := f.listen(ctx)
	defer got.end()
	sent := map[string]time.Time{}
	var sends sync.WaitGroup
	defer sends.Wait()
	due := time.Now()
	for i := range runs {
		due = due.Add(time.Second / time.Duration(rate))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return nil, run.Timings{}, ctx.Err()
		}
		id := nextID()
		m, err := ask{tenant: tenant(i), script: noop}.message(id)
		if err != nil {
			return nil, run.Timings{}, err
		}
		sent[id] = time.Now()
		sends.Go(func() { f.requests.Send(ctx, []queue.Message{m}) })
	}
	if err := got.await(ctx, runs); err != nil {
		return nil, run.Timings{}, err
	}
	var delays []time.Duration
	for id, at := range sent {
		delays = append(delays, got.at[id].Sub(at))
	}
	slices.Sort(delays)
	got.mu.Lock()
	defer got.mu.Unlock()
	return delays, got.spent, nil
}

// one is the time of one run, from its sending to its result.
func (f *fleet) one(ctx context.Context, a ask) (time.Duration, error) {
	got := f.listen(ctx)
	defer got.end()
	m, err := a.message(nextID())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := f.requests.Send(ctx, []queue.Message{m})[0]; err != nil {
		return 0, err
	}
	err = got.await(ctx, 1)
	return time.Since(began), err
}

// oneBySteps is one, and adds what the run's steps took.
func (f *fleet) oneBySteps(ctx context.Context, a ask, s *steps) (time.Duration, error) {
	f.proxy.each()
	began := time.Now()
	took, err := f.one(ctx, a)
	if err == nil {
		s.add(began, began.Add(took), f.proxy.each())
	}
	return took, err
}

var ids int

// nextID is called by one goroutine.
func nextID() string {
	ids++
	return fmt.Sprintf("b%d-%d", time.Now().Unix(), ids)
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// median of the values; it sorts them.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
