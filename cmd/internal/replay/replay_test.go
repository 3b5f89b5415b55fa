package replay

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestRequestsAreSentWhenTheyAreDue(t *testing.T) {
	f := newFleet()
	plan := Even(copies(t, 1000), 1000)
	r := replayed(t, Config{}, f, plan)
	if err := r.Err(); err != nil || r.Results != 1000 || r.Sent != 1000 {
		t.Fatalf("%d of %d: %v", r.Results, r.Sent, err)
	}
	if r.Lateness.Max > 5.01 {
		t.Errorf("late by up to %.1f ms, beyond what a call is shared for", r.Lateness.Max)
	}
	for i, at := range f.sentAt {
		if due := f.sentAt[0].Add(plan[i].At); at.Before(due) {
			t.Fatalf("request %d was sent %s early", i, due.Sub(at))
		}
	}
	if f.calls > 300 {
		t.Errorf("%d calls for 1,000 requests: those of one moment share one", f.calls)
	}
}

func TestASlowQueueDoesNotSlowTheLoad(t *testing.T) {
	f := newFleet()
	f.sendTakes = 100 * time.Millisecond
	r := replayed(t, Config{}, f, Even(copies(t, 2000), 1000))
	if r.Lateness.Max > 10 {
		t.Errorf("late by up to %.0f ms at 1,000 a second", r.Lateness.Max)
	}
}

func TestALateSendCountsAgainstUs(t *testing.T) {
	f := newFleet()
	f.sendTakes = time.Second
	r := replayed(t, Config{Senders: 1}, f, AtOnce(copies(t, 30)))
	// One sender: the second call begins when the first has been answered.
	if got := r.Lateness.Max; got < 1999 || got > 2002 {
		t.Errorf("the last call was late by %.0f ms, not 2 s", got)
	}
	if got := r.Latency.Max; got < 2999 || got > 3002 {
		t.Errorf("latency is %.0f ms, not 3 s since the request was due", got)
	}
	if r.Latency.P50 < 1999 {
		t.Errorf("median latency is %.0f ms, not 2 s", r.Latency.P50)
	}
}

func TestRunsWithoutAResultAreLostWhenTheWaitIsOver(t *testing.T) {
	f := newFleet()
	f.answer = func(r run.Request) []run.Result {
		if r.ID == "test-000003" {
			return nil
		}
		return []run.Result{answerTo(r)}
	}
	r := replayed(t, Config{Wait: time.Minute}, f, Even(copies(t, 10), 10))
	lost := run.KeyOf("acme", "/replay/test", "test-000003")
	if r.Lost.Count != 1 || len(r.Lost.Runs) != 1 || r.Lost.Runs[0] != lost {
		t.Errorf("lost are %+v, not %s", r.Lost, lost)
	}
	for _, want := range []string{"1 of 10 runs got no result: " + string(lost), "scriptfleet explain " + string(lost)} {
		if r.OK || !strings.Contains(r.Failure, want) {
			t.Errorf("the verdict is %q, without %q", r.Failure, want)
		}
	}
}

func TestResultsThatComeAgainAreRepeatedOrDoubled(t *testing.T) {
	other := func(r run.Request, change func(*run.Result)) []run.Result {
		a, b := answerTo(r), answerTo(r)
		change(&b)
		return []run.Result{a, b, b}
	}
	for _, c := range []struct {
		name              string
		answer            func(run.Request) []run.Result
		doubled, repeated int
	}{
		{"the same event", func(r run.Request) []run.Result { return other(r, func(*run.Result) {}) }, 0, 2},
		{"another output", func(r run.Request) []run.Result {
			return other(r, func(b *run.Result) { b.Data.Output = []byte(`{"ok":false}`) })
		}, 1, 0},
		{"the same output by another execution", func(r run.Request) []run.Result {
			return other(r, func(b *run.Result) { b.Data.Timings.Execute++ })
		}, 1, 0},
		{"rejected again", func(r run.Request) []run.Result {
			a := answerTo(r)
			a.Data.Status, a.Data.Output = run.Rejected, nil
			b := a
			b.Time, b.Data.Timings.Total = b.Time.Add(time.Second), 1000
			return []run.Result{a, b}
		}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet()
			f.answer = c.answer
			r := replayed(t, Config{}, f, AtOnce(copies(t, 1)))
			if r.Doubled.Count != c.doubled || r.Repeated != c.repeated || r.Results != 1 {
				t.Errorf("%d doubled, %d repeated, %d results", r.Doubled.Count, r.Repeated, r.Results)
			}
			if r.OK != (c.doubled == 0) {
				t.Errorf("the verdict is %t %q", r.OK, r.Failure)
			}
		})
	}
}

func TestADoubledResultAfterTheLastIsStillSeen(t *testing.T) {
	f := newFleet()
	f.answer = func(r run.Request) []run.Result {
		again := answerTo(r)
		again.Data.Attempt = 2
		time.AfterFunc(1900*time.Millisecond, func() { f.results <- again })
		return []run.Result{answerTo(r)}
	}
	if r := replayed(t, Config{}, f, AtOnce(copies(t, 1))); r.Doubled.Count != 1 {
		t.Errorf("%d doubled", r.Doubled.Count)
	}
}

func TestResultsOfOthersGoBackAndOurOwnUnknownOnesAreUnexpected(t *testing.T) {
	f := newFleet()
	f.answer = func(r run.Request) []run.Result {
		theirs, ours := r, r
		theirs.Source, ours.ID = "/stories/theirs", "test-999999"
		return []run.Result{answerTo(theirs), answerTo(ours), answerTo(r)}
	}
	r := replayed(t, Config{}, f, AtOnce(copies(t, 1)))
	if len(f.back) != 1 || f.back[0].Data.Story != "/stories/theirs" || r.Others != 1 {
		t.Errorf("put back: %v", f.back)
	}
	if r.Unexpected.Count != 1 || r.Results != 1 || !r.OK {
		t.Errorf("%d unexpected, %d results, %q", r.Unexpected.Count, r.Results, r.Failure)
	}
}

func TestRequestsThatCannotBeSentAreNamedAndNotWaitedFor(t *testing.T) {
	f := newFleet()
	f.refuse = func(r run.Request) error {
		if r.ID == "test-000002" {
			return errors.New("the queue is full")
		}
		return nil
	}
	r := replayed(t, Config{Wait: time.Hour}, f, AtOnce(copies(t, 3)))
	if r.SendErrors != 1 || r.Sent != 2 || r.Lost.Count != 0 || r.Seconds > 60 {
		t.Errorf("%d failed, %d sent, %d lost in %.0f s", r.SendErrors, r.Sent, r.Lost.Count, r.Seconds)
	}
	if want := "1 requests could not be sent (the queue is full)"; r.Failure != want {
		t.Errorf("the verdict is %q, not %q", r.Failure, want)
	}
}

func TestAResultOfASendThatFailedCounts(t *testing.T) {
	f := newFleet()
	f.refuse = func(r run.Request) error {
		f.results <- answerTo(r) // the call's answer was lost, not the call
		return errors.New("connection reset")
	}
	r := replayed(t, Config{}, f, AtOnce(copies(t, 1)))
	if r.Results != 1 || r.SendErrors != 1 || r.Repeated != 0 || r.OK {
		t.Errorf("%d results, %d failed, %q", r.Results, r.SendErrors, r.Failure)
	}
}

func TestALateResultOfASendThatFailedDoesNotEndTheWaitForOthers(t *testing.T) {
	f := newFleet()
	f.after = 10 * time.Second
	f.refuse = func(r run.Request) error {
		if r.ID != "test-000001" {
			return nil
		}
		time.AfterFunc(time.Second, func() { f.results <- answerTo(r) })
		return errors.New("connection reset")
	}
	if r := replayed(t, Config{}, f, AtOnce(copies(t, 2))); r.Results != 2 || r.Lost.Count != 0 {
		t.Errorf("%d results, %d lost", r.Results, r.Lost.Count)
	}
}

func TestRequestsThatKeepOneIDAreOneRun(t *testing.T) {
	twice := event(t, `{"tenant":"acme","source":"/s","id":"same","data":{"script":"x"}}`)
	own := event(t, `{"tenant":"acme","data":{"script":"x"}}`)
	f := newFleet()
	answered := map[string]bool{}
	f.answer = func(r run.Request) []run.Result {
		if answered[r.ID] {
			return nil // it is the same run
		}
		answered[r.ID] = true
		return []run.Result{answerTo(r)}
	}
	r := replayed(t, Config{Naming: Naming{Label: "test", Keep: true}}, f, Even([]*Event{twice, own, twice}, 1))
	if r.Runs != 2 || r.Sent != 3 || r.Results != 2 || !r.OK {
		t.Errorf("%d runs, %d sent, %d results: %q", r.Runs, r.Sent, r.Results, r.Failure)
	}
	if !answered["same"] || !answered["test-000002"] {
		t.Errorf("ids were %v", answered)
	}
}

// known is a ledger that knows when results came out.
type known map[run.Key]time.Time

func (k known) Lookup(_ context.Context, key run.Key) (ledger.Record, error) {
	if since, ok := k[key]; ok {
		return ledger.Record{State: ledger.Published, Since: since}, nil
	}
	return ledger.Record{State: ledger.Queued}, nil
}

func TestARunWhoseResultCameBeforeIsNotLost(t *testing.T) {
	f := newFleet()
	f.answer = func(run.Request) []run.Result { return nil }
	var events []*Event
	for _, id := range []string{"before", "lost", "swallowed"} {
		events = append(events, event(t, `{"tenant":"acme","source":"/s","id":"`+id+`","data":{"script":"x"}}`))
	}
	lost, swallowed := run.KeyOf("acme", "/s", "lost"), run.KeyOf("acme", "/s", "swallowed")
	var r Report
	synctest.Test(t, func(t *testing.T) {
		f.results = make(chan run.Result, 100)
		published := known{run.KeyOf("acme", "/s", "before"): time.Now().Add(-time.Hour), swallowed: time.Now().Add(time.Second)}
		r = New(Config{Naming: Naming{Label: "test", Keep: true}, Wait: time.Minute}, Deps{f, f, published}, AtOnce(events)).Run(t.Context())
	})
	if r.Before != 1 || !slices.Equal(r.Lost.Runs, []run.Key{lost, swallowed}) || r.OK {
		t.Errorf("%d answered before, %v lost", r.Before, r.Lost)
	}
}

func TestAnInterruptedReplaySaysWhatItDidNotSendAndWhatIsInFlight(t *testing.T) {
	f := newFleet()
	f.after = 950 * time.Millisecond
	plan := Even(copies(t, 100), 10)
	var r Report
	synctest.Test(t, func(t *testing.T) {
		f.results = make(chan run.Result, 100)
		ctx, cancel := context.WithTimeout(t.Context(), 4950*time.Millisecond)
		defer cancel()
		r = New(Config{Naming: Naming{Label: "test"}}, Deps{f, f, nil}, plan).Run(ctx)
	})
	if r.Sent != 50 || r.Unsent != 50 || r.Lost.Count != 0 || r.InFlight.Count < 9 || r.InFlight.Count > 10 || r.OK ||
		!strings.Contains(r.Failure, "50 requests were not sent; the replay was interrupted while") {
		t.Errorf("%d sent, %d unsent, %d lost, %d in flight: %q", r.Sent, r.Unsent, r.Lost.Count, r.InFlight.Count, r.Failure)
	}
}

func TestConsumingGoesOnAfterAnError(t *testing.T) {
	f := newFleet()
	f.failOnce = errors.New("service unavailable")
	r := replayed(t, Config{}, f, AtOnce(copies(t, 1)))
	if r.Results != 1 || r.ReceiveErrors != 1 || r.ReceiveError != "service unavailable" || !r.OK {
		t.Errorf("%d results, %d errors: %q", r.Results, r.ReceiveErrors, r.Failure)
	}
}

func TestProgressTellsWhatIsOverdue(t *testing.T) {
	f := newFleet()
	f.answer = func(r run.Request) []run.Result {
		if r.ID == "test-000001" {
			return nil
		}
		return []run.Result{answerTo(r)}
	}
	f.after = 150 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		f.results = make(chan run.Result, 2000)
		ctx, cancel := context.WithCancel(t.Context())
		r := New(Config{Naming: Naming{Label: "test"}, Wait: time.Second}, Deps{f, f, nil}, Even(copies(t, 2000), 100))
		if got := r.Progress(); got.Sent != 0 || got.Rate != 0 {
			t.Errorf("before the beginning: %s", got)
		}
		done := make(chan Report)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		want := "sent 1,001 of 2,000, 985 results, 98/s, 16 in flight (the oldest for 10s), 1 lost so far"
		if got := r.Progress().String(); got != want {
			t.Errorf("progress is\n%s, not\n%s", got, want)
		}
		cancel()
		<-done
	})
}
