package sqs

import (
	"fmt"
	"testing"
	"time"
)

// flood sends n messages of a noisy group and receives most of them.
func flood(b *bench, n, inFlight int) {
	b.sendMany("noisy", n)
	for inFlight > 0 {
		inFlight -= len(b.take(min(10, inFlight), time.Hour))
	}
}

func TestAGroupWithMuchInFlightIsDeliveredAfterQuietOnes(t *testing.T) {
	b := newBench(0)
	flood(b, 100, noisyInFlight)
	quiet := b.send("quiet", 0)
	if got := b.take(1, time.Minute); got[0] != quiet {
		t.Error("delivered", ids(got))
	}
	if got := b.take(1, time.Minute); got[0].Group != "noisy" {
		t.Error("what is noisy is delivered all the same, not", ids(got))
	}
}

func TestAGroupBelowThirtyInFlightIsNotNoisy(t *testing.T) {
	b := newBench(0)
	flood(b, 100, noisyInFlight-1)
	b.send("quiet", 0)
	if got := b.take(1, time.Minute); got[0].Group != "noisy" {
		t.Error("delivered", ids(got))
	}
}

func TestAGroupBelowATenthOfWhatIsInFlightIsNotNoisy(t *testing.T) {
	b := newBench(0)
	for i := range 300 {
		b.send(fmt.Sprint("other", i), 0)
	}
	for range 30 {
		b.take(10, time.Hour)
	}
	flood(b, 100, noisyInFlight)
	b.send("quiet", 0)
	if got := b.take(1, time.Minute); got[0].Group != "noisy" {
		t.Error("delivered", ids(got))
	}
}

func TestAGroupWithMuchProcessingTimeIsNoisy(t *testing.T) {
	b := newBench(0)
	b.sendMany("slow", 20)
	b.take(3, time.Hour) // too few to be noisy by number
	b.pass(20 * time.Second)
	quiet := b.send("quiet", 0)
	if got := b.take(1, time.Minute); got[0] != quiet {
		t.Error("delivered", ids(got))
	}
}

func TestTheMarkGoesWithTheBacklog(t *testing.T) {
	b := newBench(0)
	b.sendMany("noisy", 40)
	var got []*message
	for range 4 {
		got = append(got, b.take(10, time.Hour)...)
	}
	if len(b.marked) != 1 {
		t.Fatal("it was not marked")
	}
	b.settle(got...)
	if len(b.marked) != 0 || len(b.groups) != 0 {
		t.Error("the mark stays without a backlog")
	}
}

func TestTheMarkGoesAfterFiveIdleMinutes(t *testing.T) {
	b := newBench(0)
	flood(b, 100, noisyInFlight)
	b.send("quiet", 0)
	b.take(1, time.Hour) // receives the quiet one, and marks the noisy one
	if len(b.marked) != 1 {
		t.Fatal("it was not marked")
	}
	b.pass(noisyIdle - time.Second)
	b.advance(b.now)
	if len(b.marked) != 1 {
		t.Error("the mark went too early")
	}
	b.pass(time.Second)
	b.advance(b.now)
	if len(b.marked) != 0 {
		t.Error("the mark stays")
	}
	if err := b.books(); err != nil {
		t.Error(err)
	}
}

func TestMessagesWithoutAGroupAreNeverNoisy(t *testing.T) {
	b := newBench(0)
	b.sendMany("", 200)
	for range 10 {
		b.take(10, time.Hour)
	}
	b.send("quiet", 0)
	if got := b.take(1, time.Minute); got[0].Group != "" {
		t.Error("delivered", ids(got))
	}
}

// BenchmarkEngine sends, receives and deletes while the queue has a million
// messages of 100,000 groups.
func BenchmarkEngine(b *testing.B) {
	e := newBench(0)
	for i := range 1_000_000 {
		e.send(fmt.Sprint("g", i%100_000), 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		e.pass(time.Microsecond)
		e.send("g7", 0)
		e.settle(e.take(1, time.Minute)...)
	}
}
