package sqs

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch0 = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// bench is an engine whose clock the test advances.
type bench struct {
	*engine
	now time.Time
	seq uint64
}

func newBench(burial int) *bench {
	return &bench{engine: newEngine(1, 4*24*time.Hour, burial), now: epoch0}
}

func (b *bench) pass(d time.Duration) { b.now = b.now.Add(d) }

func (b *bench) send(group string, delay time.Duration) *message {
	b.seq++
	m := &message{ID: fmt.Sprint("m", b.seq), Group: group, SentAt: b.now, seq: b.seq}
	if delay > 0 {
		m.DelayedTo = b.now.Add(delay)
	}
	b.add(b.now, m)
	return m
}

func (b *bench) sendMany(group string, n int) {
	for range n {
		b.send(group, 0)
	}
}

func (b *bench) take(most int, visibility time.Duration) []*message {
	got, _ := b.receive(b.now, most, visibility)
	return got
}

func (b *bench) settle(ms ...*message) {
	for _, m := range ms {
		b.delete(b.now, b.handleOf(m))
	}
}

func ids(ms []*message) (s string) {
	for _, m := range ms {
		s += m.ID + " "
	}
	return s
}

func TestMessagesAreDeliveredOldestFirstAcrossGroups(t *testing.T) {
	b := newBench(0)
	for _, g := range []string{"x", "y", "", "x", "y"} {
		b.send(g, 0)
	}
	if got := ids(b.take(10, time.Minute)); got != "m1 m2 m3 m4 m5 " {
		t.Error(got)
	}
}

func TestAMessageWhoseVisibilityRanOutGoesBeforeWhatWaits(t *testing.T) {
	b := newBench(0)
	b.sendMany("", 3)
	b.take(1, time.Second)
	b.pass(time.Second)
	if got := ids(b.take(10, time.Second)); got != "m1 m2 m3 " {
		t.Error(got)
	}
}

func TestAMessagePutBackGoesBehindWhatWaits(t *testing.T) {
	b := newBench(0)
	b.sendMany("", 3)
	m := b.take(1, time.Minute)[0]
	b.extend(b.now, b.handleOf(m), time.Second)
	b.pass(time.Second)
	if got := ids(b.take(10, time.Second)); got != "m2 m3 m1 " {
		t.Error(got)
	}
}

func TestAHandleSettlesUntilItsMessageIsReceivedAgain(t *testing.T) {
	b := newBench(0)
	b.send("", 0)
	m := b.take(1, time.Second)[0]
	old := b.handleOf(m)
	b.pass(2 * time.Second)
	if o := b.extend(b.now, old, time.Second); o != notInFlight {
		t.Error("extend after the visibility:", o)
	}
	b.take(1, time.Second)
	if _, o := b.delete(b.now, old); o != superseded {
		t.Error("delete by the old handle:", o)
	}
	b.pass(2 * time.Second)
	newest := b.handleOf(m)
	if _, o := b.delete(b.now, newest); o != done {
		t.Error("delete by the newest handle, visibility over:", o)
	}
	if _, o := b.delete(b.now, newest); o != gone {
		t.Error("delete of what is deleted:", o)
	}
}

func TestAHandleOfThePreviousProcessSettlesUntilItsMessageIsReceived(t *testing.T) {
	b := newBench(0)
	m := b.send("", 0)
	before := handle{seq: m.seq, epoch: 99, receipt: 7, tag: tagOf(m.ID)}
	if _, o := b.find(before); o != done {
		t.Error("before the receive:", o)
	}
	b.take(1, time.Second)
	if _, o := b.find(before); o != superseded {
		t.Error("after the receive:", o)
	}
	before.tag++
	if _, o := b.find(before); o != gone {
		t.Error("another message of the same number:", o)
	}
}

func TestVisibilityEndsTwelveHoursAfterTheReceive(t *testing.T) {
	b := newBench(0)
	b.send("", 0)
	m := b.take(1, 12*time.Hour)[0]
	b.pass(time.Hour)
	if o := b.extend(b.now, b.handleOf(m), 11*time.Hour); o != done {
		t.Error("to the limit:", o)
	}
	if o := b.extend(b.now, b.handleOf(m), 11*time.Hour+time.Second); o != tooLong {
		t.Error("past the limit:", o)
	}
}

func TestMessagesReceivedTooOftenAreDead(t *testing.T) {
	b := newBench(2)
	b.send("", 0)
	for range 2 {
		if len(b.take(1, time.Second)) != 1 {
			t.Fatal("it died too early")
		}
		b.pass(time.Second)
	}
	got, dead := b.receive(b.now, 1, time.Second)
	if len(got) != 0 || len(dead) != 1 || len(b.messages) != 0 {
		t.Error(ids(got), ids(dead))
	}
}

func TestRetentionEndsMessagesInEveryState(t *testing.T) {
	b := newBench(0)
	b.retention = time.Hour
	b.sendMany("g", 2)
	b.send("g", 2*time.Hour)
	b.take(1, 2*time.Hour)
	b.pass(time.Hour)
	b.advance(b.now)
	if n := len(b.takeExpired()); n != 3 || len(b.messages) != 0 || len(b.groups) != 0 || b.flight.count != 0 {
		t.Error(n, len(b.messages), len(b.groups), b.flight.count)
	}
}

func TestNothingIsDeliveredAtTheInFlightLimit(t *testing.T) {
	b := newBench(0)
	b.sendMany("", maxInFlight+5)
	n := 0
	for got := b.take(10, time.Hour); len(got) > 0; got = b.take(10, time.Hour) {
		n += len(got)
	}
	if n != maxInFlight || b.deliverable() {
		t.Error(n)
	}
}

// TestTheEngineKeepsItsBooks does random operations and checks after every
// step: every message is in one state, no message is in two deliveries, and
// every group is in the place of its first message.
func TestTheEngineKeepsItsBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(rapid.SampledFrom([]int{0, 3}).Draw(t, "burial"))
		held := map[*message]time.Time{} // deliveries, by the end of their visibility
		pick := func() *message {
			var all []*message
			for m := range held {
				all = append(all, m)
			}
			if len(all) == 0 {
				return nil
			}
			first := all[0]
			for _, m := range all {
				if m.seq < first.seq {
					first = m
				}
			}
			return first
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				b.send(rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "group"),
					time.Duration(rapid.IntRange(0, 2).Draw(t, "delay"))*time.Second)
			},
			"receive": func(t *rapid.T) {
				visibility := time.Duration(rapid.IntRange(0, 3).Draw(t, "visibility")) * time.Second
				for _, m := range b.take(rapid.IntRange(1, 10).Draw(t, "most"), visibility) {
					if until, ok := held[m]; ok && b.now.Before(until) {
						t.Fatalf("%s is in two deliveries", m.ID)
					}
					held[m] = b.now.Add(visibility)
				}
			},
			"settle": func(t *rapid.T) {
				if m := pick(); m != nil {
					b.settle(m)
					delete(held, m)
				}
			},
			"extend": func(t *rapid.T) {
				m := pick()
				d := time.Duration(rapid.IntRange(0, 3).Draw(t, "visibility")) * time.Second
				if m != nil && b.extend(b.now, b.handleOf(m), d) == done {
					held[m] = b.now.Add(d)
				}
			},
			"pass": func(t *rapid.T) {
				b.pass(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) {
				if err := b.books(); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

func (b *bench) books() error {
	states := map[state]int{}
	for _, m := range b.messages {
		states[m.state]++
		if (m.state == ready) != (m.inDue < 0) || m.inOld < 0 {
			return fmt.Errorf("%s is in the wrong heaps", m.ID)
		}
	}
	if states[ready] != b.readyCount || states[delayed] != b.delayedCount || states[inFlight] != b.flight.count {
		return fmt.Errorf("counted %v, booked %d %d %d", states, b.readyCount, b.delayedCount, b.flight.count)
	}
	size, flying := 0, 0
	for _, g := range b.groups {
		size, flying = size+g.size, flying+g.flight.count
		if (g.head != nil) != (g.at >= 0) || (g.head != nil && b.heapOf(g).list[g.at] != g) {
			return fmt.Errorf("group %q is in the wrong heap", g.name)
		}
	}
	if size != len(b.messages) || flying != b.flight.count {
		return fmt.Errorf("groups hold %d and %d in flight", size, flying)
	}
	return nil
}
