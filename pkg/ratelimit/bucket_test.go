package ratelimit

import (
	"testing"
	"testing/synctest"
	"time"
)

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func TestBucketStartsWithOneToken(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 10, Burst: 5})
	if a := b.Take(start, Waited); !a.Granted || a.Wait != 0 {
		t.Errorf("first: %+v", a)
	}
	if a := b.Take(start, Waited); !a.Granted || a.Wait != 100*time.Millisecond {
		t.Errorf("second: %+v, want a token after 100ms", a)
	}
}

func TestWaitedAreServedInTheOrderOfAsking(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 10, Burst: 5})
	for i := range 10 {
		if a := b.Take(start, Waited); a.Wait != time.Duration(i)*100*time.Millisecond {
			t.Errorf("number %d waits %s", i, a.Wait)
		}
	}
}

func TestDebtIsBounded(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 10, Burst: 5})
	granted := 0
	for range 1000 {
		if a := b.Take(start, Waited); a.Granted {
			granted++
		} else if a.Wait <= 0 {
			t.Fatal("refused, and told to ask again at once")
		}
	}
	if want := 1 + int(MaxDebt.Seconds()*10); granted != want {
		t.Errorf("%d granted, want %d", granted, want)
	}
}

func TestAheadLeavesTheReserve(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 10, Burst: 5, Reserve: 2})
	b.Take(start, Waited)
	full := start.Add(time.Hour)
	granted := 0
	for b.Take(full, Ahead).Granted {
		granted++
	}
	if granted != 3 {
		t.Errorf("%d of a burst of 5 granted ahead, want all but the reserve of 2", granted)
	}
	if a := b.Take(full, Waited); !a.Granted || a.Wait != 0 {
		t.Errorf("the reserve is not there for who waited: %+v", a)
	}
}

func TestAheadIsRefusedWhileSomebodyWaits(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 10, Burst: 5})
	for range 6 {
		b.Take(start, Waited)
	}
	if a := b.Take(start.Add(400*time.Millisecond), Ahead); a.Granted {
		t.Errorf("granted %+v in front of one that waits", a)
	}
	if a := b.Take(start.Add(time.Second), Ahead); !a.Granted {
		t.Errorf("refused %+v though nobody waits", a)
	}
}

func TestClockSetBackTakesNothingAway(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 10, Burst: 5})
	b.Take(start, Waited)
	b.Take(start.Add(-time.Hour), Waited)
	if a := b.Take(start.Add(-time.Hour+time.Second), Waited); !a.Granted || a.Wait != 0 {
		t.Errorf("a second after the clock was set back: %+v", a)
	}
}

// A wait that was rounded to 0 must not make a busy loop, which would never end
// in a synctest bubble.
func TestPaceWaitsBeforeItAsksAgainHoweverShortTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready := time.Now().Add(time.Microsecond)
		err := Pace(t.Context(), func() (Answer, error) { return Answer{Granted: !time.Now().Before(ready)}, nil }, func() {})
		if err != nil || time.Now().Before(ready) {
			t.Errorf("paced until %s of %s: %v", time.Now(), ready, err)
		}
	})
}
