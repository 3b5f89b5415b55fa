package memqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func send(t testing.TB, q queue.Queue, ms ...queue.Message) {
	t.Helper()
	for _, err := range q.Send(context.Background(), ms) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func receive(t testing.TB, q queue.Queue, p queue.Poll) []queue.Delivery {
	t.Helper()
	ds, err := q.Receive(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func of(group string, n int) []queue.Message {
	ms := make([]queue.Message, n)
	for i := range ms {
		ms[i] = queue.Message{Body: fmt.Appendf(nil, "%s%d", group, i), Group: group}
	}
	return ms
}

func bodies(ds []queue.Delivery) string {
	var all []string
	for _, d := range ds {
		all = append(all, string(d.Body))
	}
	return strings.Join(all, " ")
}

func TestQuietGroupsAreServedBeforeBusyOnes(t *testing.T) {
	q := memqueue.New("q", memqueue.Options{})
	send(t, q, of("a", 20)...)
	busy := receive(t, q, queue.Poll{Max: 4, Visibility: time.Minute})
	send(t, q, of("b", 3)...)
	send(t, q, of("c", 2)...)
	got := bodies(receive(t, q, queue.Poll{Max: 7, Visibility: time.Minute}))
	if want := "b0 c0 b1 c1 b2 a4 a5"; got != want {
		t.Errorf("delivered %s, want %s", got, want)
	}
	q.Delete(t.Context(), busy)
	send(t, q, of("b", 1)...)
	got = bodies(receive(t, q, queue.Poll{Max: 2, Visibility: time.Minute}))
	if want := "a6 b0"; got != want {
		t.Errorf("once its deliveries are settled: delivered %s, want %s", got, want)
	}
}

func TestPollsAreWokenForWhatRunsOutAndLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New("q", memqueue.Options{})
		send(t, q, of("a", 3)...)
		receive(t, q, queue.Poll{Max: 3, Visibility: 7 * time.Second})
		var wg sync.WaitGroup
		began := time.Now()
		for range 5 {
			wg.Go(func() {
				ds := receive(t, q, queue.Poll{Max: 1, Wait: 20 * time.Second, Visibility: time.Hour})
				want := 20 * time.Second
				if len(ds) > 0 {
					want = 7 * time.Second
				}
				if took := time.Since(began); took != want {
					t.Errorf("a poll with %d deliveries took %s, want %s", len(ds), took, want)
				}
			})
		}
		wg.Wait()
		if d, _ := q.Depth(t.Context()); d != (queue.Depth{InFlight: 3}) {
			t.Errorf("depth %+v, want 3 in flight", d)
		}
	})
}

func TestAPollThatGivesUpPassesItsMessageOn(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			q := memqueue.New("q", memqueue.Options{})
			ctx, cancel := context.WithCancel(t.Context())
			poll := queue.Poll{Max: 1, Wait: 20 * time.Second, Visibility: time.Hour}
			var given, got []queue.Delivery
			var wg sync.WaitGroup
			wg.Go(func() { given, _ = q.Receive(ctx, poll) })
			synctest.Wait()
			began := time.Now()
			wg.Go(func() {
				got = receive(t, q, poll)
				if took := time.Since(began); len(got) == 1 && took > 0 {
					t.Errorf("the message waited for %s, though a poll was there", took)
				}
			})
			synctest.Wait()
			cancel() // the send may still wake the poll that is about to end
			send(t, q, of("a", 1)...)
			wg.Wait()
			if len(given)+len(got) != 1 {
				t.Errorf("%d and %d deliveries, want one", len(given), len(got))
			}
		})
	}
}

func TestAQueueFullOfDeliveriesBringsNothingUntilOneIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New("q", memqueue.Options{MaxInFlight: 2})
		send(t, q, of("a", 3)...)
		held := receive(t, q, queue.Poll{Max: 10, Visibility: time.Hour})
		if len(held) != 2 {
			t.Fatalf("%d in flight, want 2", len(held))
		}
		time.AfterFunc(5*time.Second, func() { q.Delete(context.Background(), held[:1]) })
		began := time.Now()
		ds := receive(t, q, queue.Poll{Max: 10, Wait: 20 * time.Second, Visibility: time.Hour})
		if len(ds) != 1 || time.Since(began) != 5*time.Second {
			t.Errorf("%d deliveries after %s, want 1 after 5s", len(ds), time.Since(began))
		}
	})
}

func TestFaultsDoWhatTheyAreNamedFor(t *testing.T) {
	refused := errors.New("refused")
	ops := func(only memqueue.Op) func(memqueue.Op) error {
		return func(op memqueue.Op) error {
			if op == only {
				return refused
			}
			return nil
		}
	}
	poll := queue.Poll{Max: 10, Visibility: time.Minute}

	t.Run("a call fails without effect", func(t *testing.T) {
		q := memqueue.New("q", memqueue.Options{Faults: memqueue.Faults{
			Call: func(op memqueue.Op, _ int) error { return ops(memqueue.OpSend)(op) },
		}})
		for _, err := range q.Send(t.Context(), of("a", 2)) {
			if !errors.Is(err, refused) {
				t.Errorf("send: %v", err)
			}
		}
		if ds := receive(t, q, poll); len(ds) != 0 {
			t.Errorf("%d messages of a refused call", len(ds))
		}
	})
	t.Run("an answer is lost after the effect", func(t *testing.T) {
		q := memqueue.New("q", memqueue.Options{Faults: memqueue.Faults{Answer: ops(memqueue.OpReceive)}})
		send(t, q, of("a", 2)...)
		if ds, err := q.Receive(t.Context(), poll); ds != nil || !errors.Is(err, refused) {
			t.Errorf("receive: %v, %v", ds, err)
		}
		if d, _ := q.Depth(t.Context()); d.InFlight != 2 {
			t.Errorf("depth %+v, want both hidden", d)
		}
	})
	t.Run("one entry fails", func(t *testing.T) {
		q := memqueue.New("q", memqueue.Options{Faults: memqueue.Faults{Entry: func(op memqueue.Op, i int) error {
			if op == memqueue.OpSend && i == 1 {
				return refused
			}
			return nil
		}}})
		errs := q.Send(t.Context(), of("a", 3))
		if errs[0] != nil || !errors.Is(errs[1], refused) || errs[2] != nil {
			t.Errorf("send: %v", errs)
		}
		if got := bodies(receive(t, q, poll)); got != "a0 a2" {
			t.Errorf("delivered %s", got)
		}
	})
	t.Run("a delivery is doubled", func(t *testing.T) {
		once := true
		q := memqueue.New("q", memqueue.Options{Faults: memqueue.Faults{Duplicate: func(string) bool {
			was := once
			once = false
			return was
		}}})
		send(t, q, of("a", 1)...)
		ds := receive(t, q, poll)
		if len(ds) != 2 || ds[0].MessageID != ds[1].MessageID || ds[0].Handle == ds[1].Handle {
			t.Errorf("deliveries %+v, want two of one message", ds)
		}
	})
	t.Run("a delete is lost", func(t *testing.T) {
		q := memqueue.New("q", memqueue.Options{Faults: memqueue.Faults{LoseDelete: func(queue.Delivery) bool { return true }}})
		send(t, q, of("a", 1)...)
		if err := q.Delete(t.Context(), receive(t, q, poll))[0]; err != nil {
			t.Errorf("delete: %v", err)
		}
		if d, _ := q.Depth(t.Context()); d.InFlight != 1 {
			t.Errorf("depth %+v, want it still there", d)
		}
	})
}

// After random operations in random order, each message is in one place, and
// the counts equal those of the sends and deletes.
func TestNothingIsLostOrMadeByAnyOrderOfOperations(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			dead := memqueue.New("dead", memqueue.Options{})
			q := memqueue.New("q", memqueue.Options{MaxReceiveCount: 4, DeadLetter: dead})
			total, held := 0, []queue.Delivery{}
			for range 500 {
				switch r.IntN(5) {
				case 0:
					n := r.IntN(12)
					ms := of(string(rune('a'+r.IntN(4))), n)
					for i := range ms {
						ms[i].Delay = time.Duration(r.IntN(3)) * time.Second
					}
					send(t, q, ms...)
					total += n
				case 1:
					held = append(held, receive(t, q, queue.Poll{Max: 10, Visibility: time.Duration(r.IntN(9)) * time.Second})...)
				case 2:
					if len(held) > 3 {
						for _, err := range q.Delete(t.Context(), held[:3]) {
							if err == nil {
								total--
							}
						}
						held = held[3:]
					}
				case 3:
					if len(held) > 0 {
						q.Extend(t.Context(), held[:1], time.Duration(r.IntN(3))*time.Second)
					}
				case 4:
					time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
				}
				a, _ := q.Depth(t.Context())
				b, _ := dead.Depth(t.Context())
				if a.Total()+b.Total() != total {
					t.Fatalf("seed %d: %+v and %+v dead, want %d in all", seed, a, b, total)
				}
			}
		})
	}
}

func BenchmarkSendReceiveDelete(b *testing.B) {
	for _, groups := range []int{1, 1000} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			q := memqueue.New("q", memqueue.Options{})
			ms := make([]queue.Message, 10)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for j := range ms {
					ms[j] = queue.Message{Body: []byte("{}"), Group: fmt.Sprint((i*10 + j) % groups)}
				}
				send(b, q, ms...)
				q.Delete(b.Context(), receive(b, q, queue.Poll{Max: 10, Visibility: time.Minute}))
			}
			b.ReportMetric(float64(b.N*10)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
