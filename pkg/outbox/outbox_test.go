package outbox_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const ttl = 15 * time.Second

// The names of the steps in the maps of faults.
const (
	claim     = "claim"
	decide    = "decide"
	writeDown = "write down"
	publish   = "publish"
	note      = "note"
)

// world is a ledger and a results queue whose calls fail as a test sets them
// up.
type world struct {
	*memledger.Ledger
	*testing.T
	before, after map[string]error // of a step, before or after it takes effect
	calls         []string
	events        [][]byte
	trips         int // to the ledger
	decided       int
	limit         int // bytes that the results queue takes
	limitAtStart  int
	again         func(ctx context.Context, err error, try int) bool
}

func (w *world) step(name string, do func() error) error {
	w.calls = append(w.calls, name)
	if err := w.before[name]; err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return w.after[name]
}

func (w *world) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) (as []ledger.Answer, err error) {
	return as, w.step(claim, func() error { as, err = w.Ledger.Claim(ctx, cs, ttl); return err })
}

func (w *world) Finish(ctx context.Context, fs []ledger.Finish) (errs []error, err error) {
	return errs, w.step(writeDown, func() error { errs, err = w.Ledger.Finish(ctx, fs); return err })
}

func (w *world) Published(ctx context.Context, keys []run.Key) error {
	return w.step(note, func() error { return w.Ledger.Published(ctx, keys) })
}

func (w *world) Together(ctx context.Context, cs ledger.Calls) ledger.Answers {
	w.trips++
	return ledger.Apart(ctx, w, cs)
}

func (w *world) send(_ context.Context, m queue.Message) error {
	return w.step(publish, func() error {
		if w.limit > 0 && len(m.Body) > w.limit {
			return queue.ErrTooLarge
		}
		w.events = append(w.events, m.Body)
		return nil
	})
}

func (w *world) outbox() *outbox.Outbox {
	return outbox.New(ttl, outbox.Deps{Ledger: w, Send: w.send, MaxBytes: cmp.Or(w.limitAtStart, queue.MaxMessageBytes), Again: w.again, Log: zap.NewNop(), Linger: batch.OnTheWay})
}

var theRun = run.Run{Request: run.Request{Tenant: "acme", Source: "/s", ID: "1"}, Key: run.KeyOf("acme", "/s", "1")}

func ask(owner string) ledger.Claim {
	return ledger.Claim{Entry: ledger.EntryOf(theRun), Owner: owner}
}

// answer answers one delivery of the run. Every decision makes a different
// result.
func (w *world) answer(owner string) error {
	return w.outbox().Answer(context.Background(), ask(owner), func(context.Context) (res run.Result, err error) {
		return res, w.step(decide, func() error {
			w.decided++
			res = theRun.Result(run.Succeeded, time.Now())
			res.Data.Output = []byte(fmt.Sprintf(`"decision %d"`, w.decided))
			return nil
		})
	})
}

func inWorld(t *testing.T, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, Ledger: memledger.New(memledger.Config{}), before: map[string]error{}, after: map[string]error{}}
		if _, err := w.Accept(context.Background(), []ledger.Entry{ledger.EntryOf(theRun)}); err != nil {
			t.Fatal(err)
		}
		test(w)
	})
}

// settled checks that one result was published, once or more often, and that
// the books add up.
func (w *world) settled() { w.Helper(); w.settledAs(run.Succeeded) }

// settledAs is settled for a run that the books count under status.
func (w *world) settledAs(status run.Status) {
	w.Helper()
	if len(w.events) == 0 {
		w.Fatal("no event is out")
	}
	for _, e := range w.events[1:] {
		if !bytes.Equal(e, w.events[0]) {
			w.Errorf("two results are out: %s and %s", w.events[0], e)
		}
	}
	books, err := w.Books(context.Background())
	if err != nil || books.Accepted != 1 || books.Open != 0 || !maps.Equal(books.Finished, map[run.Status]int64{status: 1}) {
		w.Errorf("the books are %+v, %v", books, err)
	}
	if recent, err := w.Recent(context.Background(), theRun.Tenant); err != nil || len(recent) != 1 || recent[0].Run != theRun.Key || recent[0].Status != status {
		w.Errorf("the recent runs are %+v, %v", recent, err)
	}
	rec, err := w.Lookup(context.Background(), theRun.Key)
	if err != nil || rec.State != ledger.Published {
		w.Errorf("the ledger has %+v, %v", rec, err)
	}
}

func TestStepsComeInTheirOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		if err := w.answer("a"); err != nil {
			t.Fatal(err)
		}
		if want := []string{claim, decide, writeDown, publish, note}; !slices.Equal(w.calls, want) {
			t.Errorf("the steps were %v, want %v", w.calls, want)
		}
		w.settled()
		if err := w.answer("b"); err != nil || w.decided != 1 || len(w.events) != 1 {
			t.Errorf("a duplicate: %v, %d decisions, %d events", err, w.decided, len(w.events))
		}
	})
}

// TestNextDeliveryCompletesWhatACrashLeft stops before and after each step,
// like a crash or a lost answer, and then handles the next delivery.
func TestNextDeliveryCompletesWhatACrashLeft(t *testing.T) {
	crash := errors.New("the process is dead")
	for at, c := range map[string]struct{ decisions, events int }{
		"before claim":      {1, 1},
		"after claim":       {1, 1},
		"before decide":     {1, 1},
		"after decide":      {2, 1},
		"before write down": {2, 1},
		"after write down":  {1, 1},
		"before publish":    {1, 1},
		"after publish":     {1, 2}, // the same event twice: see settled
	} {
		t.Run(at, func(t *testing.T) {
			inWorld(t, func(w *world) {
				when, step, _ := strings.Cut(at, " ")
				faults := w.before
				if when == "after" {
					faults = w.after
				}
				faults[step] = crash
				if err := w.answer("a"); !errors.Is(err, crash) {
					t.Fatalf("it ends with %v", err)
				}
				delete(faults, step)
				time.Sleep(ttl) // until the claim of the dead owner runs out
				if err := w.answer("b"); err != nil {
					t.Fatalf("the next delivery ends with %v", err)
				}
				w.settled()
				if w.decided != c.decisions || len(w.events) != c.events {
					t.Errorf("%d decisions and %d events, want %d and %d", w.decided, len(w.events), c.decisions, c.events)
				}
			})
		})
	}
}

func TestFailedNoteIsNoFailure(t *testing.T) {
	inWorld(t, func(w *world) {
		w.before[note] = ledger.ErrUnavailable
		if err := w.answer("a"); err != nil {
			t.Fatal(err)
		}
		delete(w.before, note)
		if err := w.answer("b"); err != nil {
			t.Fatal(err)
		}
		w.settled()
		if w.decided != 1 || len(w.events) != 2 {
			t.Errorf("%d decisions and %d events, want 1 and 2", w.decided, len(w.events))
		}
	})
}

func TestRunOfAnotherOwnerIsNotDecided(t *testing.T) {
	inWorld(t, func(w *world) {
		o := w.outbox()
		if _, err := o.Claim(context.Background(), ask("a")); err != nil {
			t.Fatal(err)
		}
		var held *outbox.HeldError
		if err := w.answer("b"); !errors.As(err, &held) || held.By != "a" || held.For != ttl {
			t.Errorf("it ends with %v", err)
		}
		if w.decided != 0 || len(w.events) != 0 {
			t.Errorf("%d decisions and %d events", w.decided, len(w.events))
		}
	})
}

func TestResultUnderALostClaimIsNotPublished(t *testing.T) {
	inWorld(t, func(w *world) {
		o := w.outbox()
		lost, err := o.Claim(context.Background(), ask("a"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl)
		if err := w.answer("b"); err != nil {
			t.Fatal(err)
		}
		err = o.Finish(context.Background(), lost.Hold, theRun.Result(run.Failed, time.Now()), func(run.Result) { t.Error("it is written down") }, func() { t.Error("it is out") })
		if !errors.Is(err, ledger.ErrLost) {
			t.Errorf("it ends with %v", err)
		}
		w.settled()
	})
}

func TestCallsAreRepeatedWhileSomethingIsAway(t *testing.T) {
	inWorld(t, func(w *world) {
		w.before[claim], w.before[writeDown], w.before[publish] = ledger.ErrUnavailable, ledger.ErrUnavailable, errors.New("away")
		tries := map[string]int{}
		w.again = func(_ context.Context, _ error, try int) bool {
			step := w.calls[len(w.calls)-1]
			if tries[step] = try; try == 3 {
				delete(w.before, step)
			}
			return true
		}
		if err := w.answer("a"); err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{claim: 3, writeDown: 3, publish: 3}; !maps.Equal(tries, want) {
			t.Errorf("the repeats were %v, want %v", tries, want)
		}
		w.settled()
	})
}

func TestRepeatsEndWhereTheCallerGivesUp(t *testing.T) {
	for _, step := range []string{claim, writeDown, publish} {
		inWorld(t, func(w *world) {
			w.before[step] = ledger.ErrUnavailable
			w.again = func(_ context.Context, _ error, try int) bool { return try < 2 }
			if err := w.answer("a"); !errors.Is(err, ledger.ErrUnavailable) {
				t.Errorf("%s: it ends with %v", step, err)
			}
			if len(w.events) != 0 {
				t.Errorf("%s: an event is out", step)
			}
		})
	}
}

func TestHolderIsToldOnceTheResultIsWrittenDownAndOnceItIsOut(t *testing.T) {
	inWorld(t, func(w *world) {
		o := w.outbox()
		g, err := o.Claim(context.Background(), ask("a"))
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Finish(context.Background(), g.Hold, theRun.Result(run.Succeeded, time.Now()), func(run.Result) { w.calls = append(w.calls, "told") }, func() { w.calls = append(w.calls, "out") }); err != nil {
			t.Fatal(err)
		}
		if want := []string{claim, writeDown, "told", publish, "out", note}; !slices.Equal(w.calls, want) {
			t.Errorf("the steps were %v, want %v", w.calls, want)
		}
	})
}

func TestNotesGoAlongWithOtherCalls(t *testing.T) {
	inWorld(t, func(w *world) {
		o := w.outbox()
		var runs sync.WaitGroup
		for i := range 3 {
			time.Sleep(10 * time.Millisecond)
			c := ledger.Claim{Entry: ledger.Entry{Key: run.Key(fmt.Sprint(i))}, Owner: "a"}
			runs.Go(func() {
				_ = o.Answer(context.Background(), c, func(context.Context) (run.Result, error) {
					return theRun.Result(run.Succeeded, time.Now()), nil
				})
			})
			synctest.Wait()
		}
		runs.Wait()
		// Two for each run, and one for the last run's note, which nothing followed.
		if w.trips != 7 {
			t.Errorf("three runs within 20 ms took %d round trips: %v", w.trips, w.calls)
		}
	})
}

func TestClaimTellsSinceWhenItLasts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.before[claim] = ledger.ErrUnavailable
		w.again = func(context.Context, error, int) bool {
			time.Sleep(time.Second)
			delete(w.before, claim)
			return true
		}
		began := time.Now()
		g, err := w.outbox().Claim(context.Background(), ask("a"))
		if err != nil || g.Sent.Sub(began) != time.Second {
			t.Errorf("%v, sent after %s", err, g.Sent.Sub(began))
		}
	})
}

// A result that exceeds the queue's limit at the start is replaced before it is
// stored. If the limit was lowered since, the result is replaced when it is
// sent.
func TestResultThatIsTooLargeIsWrittenDownAsItGoesOut(t *testing.T) {
	for limitAtStart, counted := range map[int]run.Status{2000: run.Failed, 0: run.Succeeded} {
		inWorld(t, func(w *world) {
			w.limit, w.limitAtStart = 2000, limitAtStart
			w.after[publish] = errors.New("the answer is lost")
			o := w.outbox()
			g, err := o.Claim(context.Background(), ask("a"))
			if err != nil {
				t.Fatal(err)
			}
			res := theRun.Result(run.Succeeded, time.Now())
			res.Data.Output = []byte(`"` + strings.Repeat("x", 3000) + `"`)
			var told run.Result
			if err := o.Finish(context.Background(), g.Hold, res, func(res run.Result) { told = res }, func() {}); err == nil {
				t.Fatal("the answer was not lost")
			}
			delete(w.after, publish)
			if err := w.answer("b"); err != nil {
				t.Fatal(err)
			}
			w.settledAs(counted)
			sent, err := run.DecodeResult(w.events[0])
			if err != nil || sent.Data.Status != run.Failed || sent.Data.Error.Type != "ResultTooLarge" || len(w.events) != 2 || told.Data.Status != counted {
				t.Errorf("%d events, of which one is %s; written down is %s", len(w.events), w.events[0], told.Data.Status)
			}
		})
	}
}

// Not even the small result that replaces a large one is taken: each delivery
// tries both once, and a later one publishes when the queue takes it again.
func TestResultThatIsRefusedInEveryFormIsTriedOnceADelivery(t *testing.T) {
	inWorld(t, func(w *world) {
		w.again = func(context.Context, error, int) bool { return true }
		w.limit = 10
		for _, owner := range []string{"a", "b", "c"} {
			w.calls = nil
			if err := w.answer(owner); !queue.Refused(err) {
				t.Fatalf("delivery %s: %v", owner, err)
			}
			if n := strings.Count(strings.Join(w.calls, " "), publish); n != 2 {
				t.Errorf("delivery %s was sent %d times: %v", owner, n, w.calls)
			}
			time.Sleep(ttl)
		}
		w.limit = 0
		if err := w.answer("d"); err != nil {
			t.Fatal(err)
		}
		w.settled()
	})
}

func TestResultThatIsNotJSONIsReplacedByOneThatSaysSo(t *testing.T) {
	inWorld(t, func(w *world) {
		o := w.outbox()
		g, err := o.Claim(context.Background(), ask("a"))
		if err != nil {
			t.Fatal(err)
		}
		res := theRun.Result(run.Succeeded, time.Now())
		res.Data.Output = []byte(`{"open`)
		if err := o.Finish(context.Background(), g.Hold, res, func(run.Result) {}, func() {}); err != nil {
			t.Fatal(err)
		}
		sent, err := run.DecodeResult(w.events[0])
		if err != nil || sent.Data.Status != run.PlatformError || sent.Data.Error.Type != "ResultNotEncodable" {
			t.Errorf("the event is %s", w.events[0])
		}
	})
}
