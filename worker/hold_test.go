package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

func TestRunsThatWaitForABuildTakeNoTurn(t *testing.T) {
	with(t, worker.Config{Concurrency: 1}, func(b *bench) {
		built := b.builds.hold("slow")
		for i := range 20 {
			b.send(ask(fmt.Sprint("parked-", i), script("slow")))
		}
		synctest.Wait()
		b.send(ask("warm"))
		b.want("warm", run.Succeeded, 1)
		b.depth(b.partition, queue.Depth{InFlight: 20})
		built()
		for range 20 {
			if d := b.result().Data; d.Status != run.Succeeded || d.Build.Outcome != run.BuildBuilt {
				t.Errorf("a result is %+v", d)
			}
		}
	})
}

func TestAboveTheBoundsRunsArePutBack(t *testing.T) {
	large := func(r *run.Request) {
		r.Data.Input = fmt.Appendf(nil, `{"run": %q, "more": "%0700000d"}`, r.ID, 0)
	}
	for name, c := range map[string]struct {
		cfg    worker.Config
		change func(*run.Request)
		kept   int
	}{
		"in number": {worker.Config{MaxParked: 3}, func(*run.Request) {}, 3},
		"in bytes":  {worker.Config{MaxParkedMB: 2}, large, 2},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, c.cfg, func(b *bench) {
				built := b.builds.hold("slow")
				for i := range 6 {
					b.send(ask(fmt.Sprint(i), script("slow"), c.change))
				}
				var waiting []ledger.Record
				for range 50 { // deliveries that were put back come again and again
					time.Sleep(time.Second)
					synctest.Wait()
					waiting = waiting[:0]
					all, _ := b.ledger.Open(context.Background(), 100)
					for _, r := range all {
						if r.State == ledger.Claimed {
							waiting = append(waiting, r)
						}
					}
					if len(waiting) > c.kept {
						t.Fatalf("%d runs are parked, want %d at most", len(waiting), c.kept)
					}
				}
				if len(waiting) != c.kept {
					t.Errorf("%d runs are parked, want %d", len(waiting), c.kept)
				}
				built()
				for range 6 {
					if d := b.result().Data; d.Status != run.Succeeded || d.Attempt != 1 {
						t.Errorf("a result is %+v", d)
					}
				}
			})
		})
	}
}

func TestFailedBuildIsTheResult(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.builds.failing["broken"] = &run.Error{Owner: run.OwnerAuthor, Type: "SyntaxError", Message: "mend line 1"}
		b.send(ask("r", script("broken")))
		d := b.want("r", run.BuildFailed, 1).Data
		if d.Error.Type != "SyntaxError" || d.MayHaveExecuted || d.Build.Outcome != run.BuildDidFail {
			t.Errorf("the result is %+v", d)
		}
		b.executions(0)
	})
}

func TestSavedScriptIsBuiltAheadAndNotInvoked(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		built := b.builds.hold("new")
		b.send(ask("s", script("new"), func(r *run.Request) { r.Type, r.Data.Input = run.TypeSaved, nil }))
		synctest.Wait()
		built()
		if d := b.want("s", run.Succeeded, 1).Data; d.MayHaveExecuted {
			t.Errorf("the result is %+v", d)
		}
		if b.builds.priority != builds.Ahead {
			t.Error("a run seems to wait for it")
		}
		b.executions(0)
	})
}

// extensions counts the partition's extensions, by their duration.
func (b *bench) extensions() func() int {
	var n atomic.Int64
	b.queueFaults.OnCall(func(op memqueue.Op, entries int) error {
		if op == memqueue.OpExtend {
			n.Add(int64(entries))
		}
		return nil
	})
	return func() int { return int(n.Load()) }
}

func TestOnlyWhatNeedsItIsExtended(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		n := b.extensions()
		b.lasting(9 * time.Second)
		b.send(ask("a"), ask("b"))
		b.result()
		b.result()
		if n() != 0 {
			t.Errorf("runs of 9 s were extended %d times", n())
		}
		b.lasting(55 * time.Second)
		b.send(ask("long"))
		b.want("long", run.Succeeded, 1)
		if n() < 2 || n() > 5 {
			t.Errorf("a run of 55 s was extended %d times", n())
		}
		b.depth(b.partition, queue.Depth{})
	})
}

func TestLongRunsAreKeptFromOthers(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.lasting(55 * time.Second)
		b.send(ask("long"))
		synctest.Wait()
		for range 50 {
			b.depth(b.partition, queue.Depth{InFlight: 1})
			as, err := b.ledger.Ledger.Claim(context.Background(), []ledger.Claim{{Entry: ledger.EntryOf(decode(t, ask("long"))), Owner: "thief"}}, time.Second)
			if err != nil || as[0].Granted {
				t.Fatalf("another is granted the run: %+v, %v", as, err)
			}
		}
		b.want("long", run.Succeeded, 1)
	})
}

func TestRunWhoseDeliveryIsLostIsPublishedAllTheSame(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.queueFaults.OnCall(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpExtend {
				return errors.New("refused")
			}
			return nil
		})
		b.lasting(40 * time.Second)
		b.send(ask("r"))
		b.want("r", run.Succeeded, 1)
		b.queueFaults.OnCall(nil)
		time.Sleep(2 * time.Minute)
		b.noMore(time.Second)
		b.executions(1)
		b.depth(b.partition, queue.Depth{})
	})
}

func TestRunWhoseClaimIsLostPublishesNothing(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.lasting(30 * time.Second)
		b.send(ask("r"))
		synctest.Wait()
		b.ledger.Fail("all")
		time.Sleep(16 * time.Second)
		as, err := b.ledger.Ledger.Claim(context.Background(), []ledger.Claim{{Entry: ledger.EntryOf(decode(t, ask("r"))), Owner: "other"}}, time.Hour)
		if err != nil || !as[0].Granted || as[0].Attempts != 1 {
			t.Fatalf("%+v, %v", as, err)
		}
		b.ledger.Fail("")
		for range 4 {
			b.noMore(20 * time.Second)
		}
		b.executions(1)
	})
}

func TestNothingIsInvokedUnderAClaimThatHasLapsed(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		built := b.builds.hold("slow")
		b.send(ask("r", script("slow"), atMostOnce))
		synctest.Wait()
		b.ledger.Fail("all")
		time.Sleep(20 * time.Second)
		b.ledger.Forget() // also the other worker's claim
		b.ledger.Fail("")
		built()
		if d := b.want("r", run.PlatformError, 1).Data; d.Error.Type != "MayHaveExecuted" {
			t.Errorf("the result is %+v", d)
		}
		b.executions(0)
	})
}

func TestNothingIsInvokedUnderAClaimThatTheHeartbeatCouldNotRenew(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		built := b.builds.hold("slow")
		b.ledger.Hook(func(op string) {
			if op == "renew" {
				time.Sleep(time.Minute)
			}
		})
		b.send(ask("r", script("slow"), atMostOnce))
		time.Sleep(20 * time.Second)
		b.ledger.Forget() // also the other worker's claim
		built()
		if d := b.want("r", run.PlatformError, 1).Data; d.Error.Type != "MayHaveExecuted" {
			t.Errorf("the result is %+v", d)
		}
		b.executions(0)
	})
}

func TestIntakePausesWhileTheLedgerIsOutOfReachAndNothingIsLost(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.lasting(20 * time.Second)
		b.send(ask("in-hand"))
		synctest.Wait()
		b.ledger.Fail("all")
		time.Sleep(12 * time.Second)
		for i := range 30 {
			b.send(ask(fmt.Sprint("later-", i)))
		}
		time.Sleep(time.Minute)
		if b.w.Ready() == nil {
			t.Error("the worker says that it takes runs")
		}
		b.executions(1)
		b.noMore(time.Second) // it was not written down, so it is not published
		b.ledger.Fail("")
		b.want("in-hand", run.Succeeded, 1)
		for range 30 {
			if d := b.result().Data; d.Status != run.Succeeded || d.Attempt != 1 {
				t.Errorf("a result is %+v", d)
			}
		}
		if err := b.w.Ready(); err != nil {
			t.Errorf("the worker still says %v", err)
		}
	})
}

func TestCapPutsARunBackWithoutAnAttempt(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.limits.MaxRunning = 2
		b.lasting(10 * time.Second)
		for i := range 6 {
			b.send(ask(fmt.Sprint(i), atMostOnce))
		}
		var most int
		var mu sync.Mutex
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				time.Sleep(time.Second)
				n := b.taken()
				mu.Lock()
				most = max(most, n)
				mu.Unlock()
			}
		}()
		for range 6 {
			if d := b.result().Data; d.Status != run.Succeeded || d.Attempt != 1 {
				t.Errorf("a result is %+v", d)
			}
		}
		<-done
		if most != 2 {
			t.Errorf("%d runs executed at a time, want 2", most)
		}
		b.inUse(0)
	})
}

func TestScriptWithACapLeavesTheTenantsOthersAlone(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.limits.MaxRunning, b.limits.MaxRunningPerScript = 10, 1
		b.lasting(30 * time.Second)
		b.send(ask("a1", script("a")), ask("a2", script("a")), ask("b1", script("b")))
		b.executions(2)
		for range 3 {
			b.result()
		}
	})
}

func TestSidePartitionGetsWhatIsLeftOver(t *testing.T) {
	with(t, worker.Config{Concurrency: 2}, func(b *bench) {
		b.lasting(10 * time.Second)
		for i := range 6 {
			b.send(ask(fmt.Sprint("main-", i)))
		}
		synctest.Wait()
		aside := ask("aside")
		b.accept(aside)
		body, _ := aside.Encode()
		b.side.Send(context.Background(), []queue.Message{{Body: body}})
		var order []string
		for range 7 {
			order = append(order, b.result().Subject)
		}
		if order[0] == "aside" || order[1] == "aside" {
			t.Errorf("the order is %v", order)
		}
	})
}
