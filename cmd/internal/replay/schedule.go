package replay

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Send is one request of a plan.
type Send struct {
	At    time.Duration // when it is due, from the plan's beginning
	Event *Event
	Seq   int // its index in the batch; part of its id
}

// Plan is all requests by the time when they are due.
type Plan []Send

// Length is when the last request is due.
func (p Plan) Length() time.Duration {
	if len(p) == 0 {
		return 0
	}
	return p[len(p)-1].At
}

// AtOnce makes everything due at the beginning.
func AtOnce(events []*Event) Plan {
	return planned(events, func(int) time.Duration { return 0 })
}

// Even spaces requests evenly, at rate per second.
func Even(events []*Event, rate float64) Plan {
	return planned(events, func(i int) time.Duration { return seconds(float64(i) / rate) })
}

// Poisson makes requests arrive independently of each other, at rate per second
// on average. The same seed gives the same plan.
func Poisson(events []*Event, rate float64, seed uint64) Plan {
	random := source(seed)
	var at time.Duration
	return planned(events, func(int) time.Duration {
		at += seconds(random.ExpFloat64() / rate)
		return at
	})
}

// Recorded keeps the intervals of the events' own times, divided by speed.
func Recorded(events []*Event, speed float64) (Plan, error) {
	for i, e := range events {
		if e.time == nil {
			return nil, fmt.Errorf("request %d has no time, which a replay at recorded speed goes by: use --rate", i+1)
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	first := slices.MinFunc(events, func(a, b *Event) int { return a.time.Compare(*b.time) }).time
	return planned(events, func(i int) time.Duration {
		return seconds(events[i].time.Sub(*first).Seconds() / speed)
	}), nil
}

func planned(events []*Event, at func(i int) time.Duration) Plan {
	plan := make(Plan, len(events))
	for i, e := range events {
		plan[i] = Send{At: at(i), Event: e, Seq: i}
	}
	plan.sort()
	return plan
}

func (p Plan) sort() {
	slices.SortStableFunc(p, func(a, b Send) int { return int(a.At - b.At) })
}

// source is the random source for a seed, the same on every machine.
func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
