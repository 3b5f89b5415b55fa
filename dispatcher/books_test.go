package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// unread is a ledger whose books cannot be read while it is away.
type unread struct {
	*inmemory.Ledger
	away atomic.Bool
}

func (u *unread) Books(ctx context.Context) (ledger.Books, error) {
	if u.away.Load() {
		return ledger.Books{}, errors.New("away")
	}
	return u.Ledger.Books(ctx)
}

type booksBench struct {
	*bench
	unread  *unread
	letters *memqueue.Queue
}

func withBooks(t *testing.T, test func(*booksBench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		bb := &booksBench{letters: memqueue.New("partition-dlq", memqueue.Options{})}
		bb.bench = newBench(t, dispatcher.Config{}, func(d *dispatcher.Deps) {
			bb.unread = &unread{Ledger: d.Ledger.(*inmemory.Ledger)}
			d.Ledger, d.PartitionDeadLetter = bb.unread, bb.letters
		})
		bb.start()
		defer func() { bb.Stop() }()
		synctest.Wait()
		test(bb)
	})
}

// count is the value of a metric of the books, or -1 if it is not exported.
func (b *booksBench) count(of string) int {
	b.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "scriptfleet_books_runs" && m.GetLabel()[0].GetValue() == of {
				return int(m.GetGauge().GetValue())
			}
		}
	}
	return -1
}

// always fails if the value differs in any look of the next minute.
func (b *booksBench) always(of string, want int) {
	b.Helper()
	for range 12 {
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := b.count(of); got != want {
			b.Errorf("%s are %d, want %d", of, got, want)
			return
		}
	}
}

// receive receives deliveries as a worker does, with a worker's visibility.
func (b *booksBench) receive(most int) (ds []queue.Delivery) {
	b.Helper()
	for _, q := range b.partitions {
		if len(ds) == most {
			break
		}
		got, err := q.Receive(context.Background(), queue.Poll{Max: min(10, most-len(ds)), Visibility: 24 * time.Second})
		if err != nil {
			b.Fatal(err)
		}
		ds = append(ds, got...)
	}
	return ds
}

// claim claims a run as a worker does.
func (b *booksBench) claim(d queue.Delivery) ledger.Hold {
	b.Helper()
	r, refused := inmemory.Policy.Decode(d.Body, time.Now())
	if refused != nil {
		b.Fatal(refused)
	}
	got, err := b.ledger.Claim(context.Background(), []ledger.Claim{{Entry: ledger.EntryOf(r), Owner: d.MessageID}}, 15*time.Second)
	if err != nil || !got[0].Granted {
		b.Fatalf("claim: %+v, %v", got, err)
	}
	return got[0].Hold
}

func (b *booksBench) finish(h ledger.Hold) {
	b.Helper()
	errs, err := b.ledger.Finish(context.Background(), []ledger.Finish{{Hold: h, Status: run.Succeeded}})
	if err != nil || errs[0] != nil {
		b.Fatal(err, errs)
	}
}

func (b *booksBench) delete(ds ...queue.Delivery) {
	for _, q := range b.partitions {
		q.Delete(context.Background(), ds)
	}
}

func TestRunsOfAWorkerThatWasKilledAreNotMissing(t *testing.T) {
	withBooks(t, func(b *booksBench) {
		for i := range 9 {
			b.send(ask(fmt.Sprint(i)))
		}
		held := b.receive(5)
		for _, d := range held[:3] {
			b.claim(d)
		}
		// The worker is killed here: its deliveries become visible again later.
		b.always("missing", 0)
		if got := [...]int{b.count("accepted"), b.count("open"), b.count("finished")}; got != [...]int{9, 9, 0} {
			t.Errorf("accepted, open and finished are %v", got)
		}
	})
}

func TestARunOnNoQueueIsMissingUntilItIsFinished(t *testing.T) {
	withBooks(t, func(b *booksBench) {
		b.send(ask("lost"), ask("other"))
		ds := b.receive(10)
		hold := b.claim(ds[0])
		b.delete(ds[0]) // without a result
		time.Sleep(20 * time.Second)
		b.always("missing", 1)
		b.finish(hold)
		time.Sleep(20 * time.Second)
		b.always("missing", 0)
	})
}

func TestADeadLetterIsNotMissing(t *testing.T) {
	withBooks(t, func(b *booksBench) {
		b.send(ask("buried"))
		d := b.receive(10)[0]
		b.letters.Send(context.Background(), []queue.Message{{Body: d.Body}})
		b.delete(d)
		time.Sleep(20 * time.Second)
		b.always("missing", 0)
	})
}

func TestNothingIsSaidOfTheBooksWhileAPartOfThemCannotBeRead(t *testing.T) {
	withBooks(t, func(b *booksBench) {
		b.send(ask("lost"))
		b.delete(b.receive(10)...)
		time.Sleep(20 * time.Second)
		b.always("missing", 1)
		b.unread.away.Store(true)
		time.Sleep(20 * time.Second)
		b.always("missing", -1)
		b.unread.away.Store(false)
		b.partitionFaults[2].OnCall(refuse(memqueue.OpDepth))
		time.Sleep(20 * time.Second)
		b.always("missing", -1)
		b.partitionFaults[2].OnCall(nil)
		time.Sleep(20 * time.Second)
		b.always("missing", 1)
	})
}

// TestNothingIsMissingForLongWhileRunsComeAndGo makes each look at the queues
// take up to a second, while runs begin and end.
func TestNothingIsMissingForLongWhileRunsComeAndGo(t *testing.T) {
	for name, pause := range map[string]struct{ begin, end time.Duration }{
		"as many as end":         {20 * time.Millisecond, 20 * time.Millisecond},
		"a backlog that grows":   {10 * time.Millisecond, 100 * time.Millisecond},
		"a backlog that shrinks": {100 * time.Millisecond, 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			withBooks(t, func(b *booksBench) {
				b.backlog = 1 << 20
				for i := range 3000 {
					b.requests.Send(context.Background(), []queue.Message{{Body: encoded(t, fmt.Sprint("before-", i))}})
				}
				time.Sleep(time.Minute)
				b.partitionFaults.OnCall(func(op memqueue.Op, _ int) error {
					if op == memqueue.OpDepth {
						time.Sleep(rand.N(time.Second))
					}
					return nil
				})
				ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
				defer stop()
				go every(ctx, pause.begin, func(n int) {
					b.requests.Send(ctx, []queue.Message{{Body: encoded(t, fmt.Sprint(n))}})
				})
				var in []queue.Delivery
				go every(ctx, pause.end, func(int) {
					if len(in) == 0 {
						in = b.receive(40)
					}
					if len(in) > 0 {
						b.finish(b.claim(in[0]))
						b.delete(in[0])
						in = in[1:]
					}
				})
				looks, missing := 0, 0
				for ctx.Err() == nil {
					time.Sleep(time.Second)
					looks++
					if b.count("missing") > 0 {
						missing++
					}
				}
				if missing == looks { // the alert fires after ten minutes of that
					t.Errorf("runs are missing at each of %d looks", looks)
				}
			})
		})
	}
}

func encoded(t *testing.T, id string) []byte {
	t.Helper()
	body, err := ask(id).Encode()
	if err != nil {
		t.Error(err)
	}
	return body
}

func every(ctx context.Context, pause time.Duration, do func(n int)) {
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			do(n)
		}
	}
}
