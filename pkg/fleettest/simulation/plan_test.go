package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// plan is everything that a seed decides before the fleet runs.
type plan struct {
	seed uint64

	// calm seeds have only the everyday faults of queues: any delay, repetition
	// or omission is then the fleet's own fault.
	calm  bool
	crowd bool // many runs wait for one slow build, beside a quiet tenant

	workers, dispatchers, partitions int
	concurrency, maxParked           int
	buildAfter                       int // runs in an env runner, before a script's function is built
	cap, maxBacklog                  int // limits of a tenant's runs

	rates    rates
	away     []window // when Redis is unreachable for all sites
	refusing []window // when the results queue refuses sends
	throttle []window // when Lambda throttles
	events   []event
	until    time.Duration // when the faults end

	requests []*request
	envs     map[string]*env // by requirements
}

// rates are probabilities of a fault in one call.
type rates struct {
	duplicate, loseDelete   float64 // per message
	entry, call, lostAnswer float64 // per call of a queue
	redis                   float64 // a call of Redis takes effect, and its answer is lost
	throttled, broken       float64 // per call of Lambda
	stillborn               float64 // a new function becomes Failed
	notTaken                float64 // an env runner does not take a script
	garbled                 float64 // an env runner is given another script than the run's
}

type window struct{ from, to time.Duration }

func among(ws []window, t time.Duration) bool {
	return slices.ContainsFunc(ws, func(w window) bool { return w.from <= t && t < w.to })
}

// event is a fault at one moment.
type event struct {
	at   time.Duration
	kind string
	nth  int           // index of the site
	last time.Duration // duration
	op   string        // kind of call at which it happens
}

// telling are the calls between which a crash is most revealing.
var telling = []string{
	// Claims, begins, finishes and notes are all made by Together.
	"ledger.Together", "ledger.Renew", "ledger.Together", "ledger.Together", "ledger.Together", "ledger.Release",
	"lease.Acquire", "lease.Renew", "record.Get", "record.Put", "queue.Send", "queue.Delete", "queue.Extend",
	"record.GetAll", "lambda.FindLayer", "lambda.PublishLayer", "lambda.Create", "lambda.Await", "lambda.Invoke",
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
		buildAfter: 1 + r.IntN(3), concurrency: 2 + r.IntN(4), maxParked: 100, cap: tenant.NoCap, maxBacklog: 1000,
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

// dailyFaults are the everyday faults of queues; a calm seed has them too.
func (p *plan) dailyFaults(r *rand.Rand) {
	some := func(rate *float64, most float64) {
		if r.IntN(2) == 0 {
			*rate = r.Float64() * most
		}
	}
	some(&p.rates.duplicate, 0.2)
	some(&p.rates.loseDelete, 0.1)
	some(&p.rates.notTaken, 0.5) // no error: the run waits for its function
	some(&p.rates.garbled, 0.2)
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

// faults chooses a few of the rare faults, so that seeds differ.
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
		one  int // one seed in this many has it
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

// randomly is a random duration below d, or 0 if d is 0.
func randomly(r *rand.Rand, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(d)))
}
