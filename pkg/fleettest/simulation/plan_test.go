package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// plan is what a seed decides before anything runs.
type plan struct {
	seed uint64

	// calm seeds have only what queues do every day: what is then slow, repeated
	// or not done is the fleet's own doing.
	calm  bool
	crowd bool // of runs that wait for one slow build, beside a quiet tenant

	workers, dispatchers, partitions int
	concurrency, maxParked           int
	cap, maxBacklog                  int // of a tenant's runs

	rates    rates
	away     []window // of Redis, for all
	refusing []window // of the results queue
	throttle []window // of Lambda
	events   []event
	until    time.Duration // the faults end here

	requests []*request
	envs     map[string]*env // by requirements
}

// rates are chances, a call each.
type rates struct {
	duplicate, loseDelete   float64 // a message
	entry, call, lostAnswer float64 // a queue's
	redis                   float64 // a call of Redis takes effect, and its answer is lost
	throttled, broken       float64 // a call of Lambda
	stillborn               float64 // a function is made and Failed
}

type window struct{ from, to time.Duration }

func among(ws []window, t time.Duration) bool {
	return slices.ContainsFunc(ws, func(w window) bool { return w.from <= t && t < w.to })
}

// event is a fault that happens at one moment.
type event struct {
	at   time.Duration
	kind string
	nth  int           // which of the sites
	last time.Duration // how long
	op   string        // kind of call at which it happens
}

// telling are the calls between two of which a process does best not to die.
var telling = []string{
	"ledger.Claim", "ledger.Renew", "ledger.Invoking", "ledger.Finish", "ledger.Published", "ledger.Release",
	"lease.Acquire", "lease.Renew", "record.Get", "record.Put", "queue.Send", "queue.Delete", "queue.Extend",
	"lambda.FindLayer", "lambda.PublishLayer", "lambda.Create", "lambda.Await", "lambda.Invoke",
}

const (
	eventKill     = "kill"
	eventKillSoon = "kill at a call to come"
	eventStop     = "stop"
	eventStopSoon = "stop at a call to come"
	eventDrain    = "drain"
	eventCut      = "cut off from Redis"
	eventFlush    = "flush Redis"
	eventVanish   = "a function vanishes"
	eventSleep    = "a function goes Inactive"
)

func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := &plan{
		seed: seed, calm: r.Float64() < 0.25, until: 20*time.Second + randomly(r, 60*time.Second),
		workers: 2 + r.IntN(2), dispatchers: 1 + r.IntN(2), partitions: 1 + r.IntN(3),
		concurrency: 2 + r.IntN(4), maxParked: 100, cap: tenant.NoCap, maxBacklog: 1000,
	}
	p.crowd = p.calm && r.IntN(2) == 0
	if !p.crowd && r.IntN(4) == 0 {
		p.maxParked = 2
	}
	if !p.calm && r.IntN(4) == 0 {
		p.cap = 1 + r.IntN(3)
	}
	if !p.crowd && r.IntN(4) == 0 {
		p.maxBacklog = 5
	}
	p.dailyFaults(r)
	if !p.calm {
		p.faults(r)
	}
	p.script(r)
	return p
}

// dailyFaults are those of queues, which a calm seed has too.
func (p *plan) dailyFaults(r *rand.Rand) {
	some := func(rate *float64, most float64) {
		if r.IntN(2) == 0 {
			*rate = r.Float64() * most
		}
	}
	some(&p.rates.duplicate, 0.2)
	some(&p.rates.loseDelete, 0.1)
	if p.calm {
		return
	}
	some(&p.rates.entry, 0.2)
	some(&p.rates.call, 0.1)
	some(&p.rates.lostAnswer, 0.1)
	some(&p.rates.redis, 0.05)
	some(&p.rates.throttled, 0.2)
	some(&p.rates.broken, 0.1)
	if r.IntN(4) == 0 {
		p.rates.stillborn = 0.2
	}
}

// faults chooses a few of the rare ones, so that seeds differ in what they have
// to do with.
func (p *plan) faults(r *rand.Rand) {
	windows := func(ws *[]window, one int, most time.Duration) {
		if r.IntN(one) == 0 {
			from := randomly(r, p.until)
			*ws = append(*ws, window{from, min(p.until, from+randomly(r, most))})
		}
	}
	windows(&p.away, 4, 40*time.Second)
	windows(&p.refusing, 5, time.Minute)
	windows(&p.throttle, 5, time.Minute)
	for _, e := range []struct {
		kind string
		one  int // seed in this many has it
		most int
		last time.Duration
	}{
		{eventKill, 3, 3, 0}, {eventKillSoon, 3, 3, 0}, {eventStop, 4, 3, 45 * time.Second}, {eventStopSoon, 3, 4, 45 * time.Second},
		{eventDrain, 4, 3, 60 * time.Second},
		{eventCut, 5, 2, 40 * time.Second}, {eventFlush, 5, 2, 0}, {eventVanish, 6, 3, 0}, {eventSleep, 8, 2, 0},
	} {
		if r.IntN(e.one) != 0 {
			continue
		}
		for range 1 + r.IntN(e.most) {
			happens := event{at: randomly(r, p.until), kind: e.kind, nth: r.IntN(100), last: time.Second + randomly(r, e.last)}
			if (e.kind == eventKillSoon || e.kind == eventStopSoon) && r.IntN(3) > 0 {
				happens.op = telling[r.IntN(len(telling))]
			}
			p.events = append(p.events, happens)
		}
	}
}

func (p *plan) has(kind string) bool {
	return slices.ContainsFunc(p.events, func(e event) bool { return e.kind == kind })
}

// randomly is a time below d, and 0 for none.
func randomly(r *rand.Rand, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(d)))
}
