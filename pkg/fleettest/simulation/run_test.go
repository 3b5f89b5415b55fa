package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// limitAfterFaults is how long the fleet may take to settle everything after
// the faults.
const limitAfterFaults = 45 * time.Minute

// Run runs the fleet of a seed with a mechanism switched off, or none. The
// error is the broken promise.
func Run(t *testing.T, seed uint64, off mechanism) (f *fleet, err error) {
	defer func() {
		if p := recover(); p != nil { // a goroutine is left that never ends
			panic(fmt.Sprintf("seed %d without %q: %v", seed, off, p))
		}
	}()
	synctest.Test(t, func(*testing.T) {
		p := newPlan(seed)
		p.favour(off)
		f = newFleet(p, off)
		err = f.live()
	})
	return f, err
}

// live is the whole life of the fleet.
func (f *fleet) live() error {
	life, end := context.WithCancel(context.Background())
	f.startAll()
	f.wg.Go(func() { f.stories(life) })
	f.wg.Go(func() { f.faults(life) })
	f.wg.Go(func() { f.consume(life) })
	err := f.untilSettled()
	if err == nil {
		f.drainAll()
		_ = pass(life, time.Minute) // leases of killed sites expire
		err = errors.Join(f.broken(), f.checkResults(), f.checkLeftovers())
	}
	f.trace.end()
	f.ok.Store(true)
	end()
	f.abandon()
	return err
}

// untilSettled checks the promises every second of the fleet's time, until all
// requests are settled.
func (f *fleet) untilSettled() error {
	for !f.healthy() || !f.told.Load() || !f.settledAll() {
		_ = pass(context.Background(), time.Second)
		f.checkExecutions()
		if err := f.broken(); err != nil {
			return err
		}
		if f.now() > f.plan.until+limitAfterFaults {
			return fmt.Errorf("not settled in time: %s", f.unsettled())
		}
	}
	return nil
}

func (f *fleet) drainAll() {
	f.close()
	for _, s := range f.running("") {
		f.wg.Go(func() { s.drain(90 * time.Second) })
	}
	for _, s := range f.running("") {
		<-s.over
	}
}

// close prevents further starts of sites.
func (f *fleet) close() {
	f.sitesMu.Lock()
	defer f.sitesMu.Unlock()
	f.closing = true
}

// abandon ends everything that still runs.
func (f *fleet) abandon() {
	f.close()
	_ = pass(context.Background(), time.Second) // a site may have been about to start
	for _, s := range f.running("") {
		s.kill()
	}
	f.wg.Wait()
	for _, s := range f.ever {
		if s.over != nil {
			<-s.over
		}
	}
}

func (f *fleet) running(kind string) []*site {
	f.sitesMu.Lock()
	defer f.sitesMu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.sites), func(s *site) bool { return kind != "" && s.kind != kind })
}

// stories send the requests, each until the queue has accepted it.
func (f *fleet) stories(life context.Context) {
	sent := slices.Clone(f.plan.requests)
	slices.SortStableFunc(sent, func(a, b *request) int { return cmp.Compare(a.at, b.at) })
	for _, r := range sent {
		if pass(life, r.at-f.now()) != nil {
			return
		}
		for f.requests.Send(life, []queue.Message{{Body: r.body, Group: r.event.Tenant}})[0] != nil {
			if pass(life, time.Second) != nil {
				return
			}
		}
	}
	f.told.Store(true)
}

// consume receives the results, and compares repeated ones.
func (f *fleet) consume(life context.Context) {
	f.eat(life, f.results, f.result)
}

func (f *fleet) eat(life context.Context, q *memqueue.Queue, note func([]byte)) {
	for life.Err() == nil {
		ds, err := q.Receive(life, queue.Poll{Max: queue.MaxBatch, Wait: 20 * time.Second, Visibility: time.Minute})
		if err != nil {
			_ = pass(life, time.Second)
			continue
		}
		for _, d := range ds {
			note(d.Body)
		}
		q.Delete(life, ds)
	}
}

// faults plays the planned faults.
func (f *fleet) faults(life context.Context) {
	slices.SortFunc(f.plan.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for _, e := range f.plan.events {
		if pass(life, e.at-f.now()) != nil {
			return
		}
		f.happen(e)
	}
	if pass(life, f.plan.until-f.now()) != nil {
		return
	}
	f.log("world", "the faults are over")
	f.ok.Store(true)
	for _, s := range f.running("") {
		s.resume()
	}
}

func (f *fleet) happen(e event) {
	sites := f.running("")
	if e.op != "" {
		sites = f.running("worker")
	}
	s := sites[e.nth%len(sites)]
	switch e.kind {
	case eventKill:
		f.killed(s)
	case eventKillSoon:
		s.soon(e, 0)
	case eventStopSoon:
		s.soon(e, e.last)
	case eventStop:
		s.stop(e.last)
	case eventDrain:
		f.wg.Go(func() {
			s.drain(e.last)
			f.replace(s)
		})
	case eventCut:
		s.cutOff(e.last)
	case eventFlush:
		f.flush()
	case eventVanish, eventSleep:
		f.meddle(e)
	}
}

func (f *fleet) flush() {
	f.log("redis", "forgets everything")
	f.ledger.Forget()
	f.leases.Flush()
	f.records.Flush()
	f.slots.Forget()
	f.forgot(f.now())
}

// meddle changes a function without the fleet's knowledge.
func (f *fleet) meddle(e event) {
	var names []string
	for name := range f.scripts {
		if _, there := f.functions.Spec(name); there {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	name := names[e.nth%len(names)]
	f.log("lambda", "%s: %s", e.kind, name)
	f.meddled.Store(true)
	if e.kind == eventVanish {
		_ = f.functions.Delete(context.Background(), name)
		return
	}
	f.functions.SetState(name, memfunction.Inactive)
}
