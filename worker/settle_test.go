package worker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

func TestResultIsWrittenDownThenPublishedThenTheDeliveryIsDeleted(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		var mu sync.Mutex
		var order []string
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
		}
		b.ledger.Hook(func(op string) {
			if op == "finish" {
				note("written down")
			}
		})
		b.resultFaults.OnCall(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpSend {
				note("published")
			}
			return nil
		})
		b.queueFaults.OnCall(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpDelete {
				note("deleted")
			}
			return nil
		})
		b.send(ask("r"))
		b.want("r", run.Succeeded, 1)
		settle()
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"written down", "published", "deleted"}; !slices.Equal(order, want) {
			t.Errorf("the order is %v, want %v", order, want)
		}
		b.state(ask("r"), ledger.Published)
		b.depth(b.partition, queue.Depth{})
	})
}

func TestResultSaysHowTheScriptEnded(t *testing.T) {
	for _, status := range []run.Status{run.Succeeded, run.Failed, run.TimedOut, run.OutOfMemory} {
		with(t, worker.Config{}, func(b *bench) {
			b.behave(func(int) memfunction.Behaviour {
				bh := memfunction.Behaviour{Duration: 3 * time.Second, Output: []byte(`{"a": 1}`)}
				if status != run.Succeeded {
					bh.Status = status
				}
				return bh
			})
			b.send(ask("r"))
			d := b.want("r", status, 1).Data
			if !d.MayHaveExecuted || d.Function == nil || (d.Error == nil) != (status == run.Succeeded) || d.Timings.Execute != 3000 || d.Timings.Total != 3000 {
				t.Errorf("the result is %+v", d)
			}
			if status == run.Succeeded && string(d.Output) != `{"a": 1}` {
				t.Errorf("the output is %s", d.Output)
			}
		})
	}
}

func TestUnreadableDeliveryIsBuriedWithItsReason(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.partition.Send(context.Background(), []queue.Message{{Body: []byte(`{"tenant": 1}`)}})
		synctest.Wait()
		ds, err := b.dead.Receive(context.Background(), queue.Poll{Max: 1, Visibility: time.Hour})
		if err != nil || len(ds) != 1 || ds[0].Attributes[run.AttributeReason] == "" || ds[0].Attributes[run.AttributeErrorType] == "" {
			t.Fatalf("the dead letters are %+v, %v", ds, err)
		}
		b.depth(b.partition, queue.Depth{})
		b.noMore(time.Second)
	})
}

func TestRefusedRunIsRejectedWithOneEventHoweverOftenItComes(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.put(ask("r", func(r *run.Request) { r.Data.Runtime = "cobol" }))
		if b.want("r", run.Rejected, 1).Data.Error.Type != run.UnknownRuntime {
			t.Error("the result does not say why")
		}
		settle()
		b.put(ask("r", func(r *run.Request) { r.Data.Runtime = "cobol" }))
		b.noMore(10 * time.Second)
		b.depth(b.partition, queue.Depth{})
	})
}

func TestDuplicateOfAPublishedRunIsOnlyDeleted(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.send(ask("r"))
		b.want("r", run.Succeeded, 1)
		settle()
		b.put(ask("r"))
		b.noMore(10 * time.Second)
		b.depth(b.partition, queue.Depth{})
		b.executions(1)
	})
}

func TestDuplicateThatComesAtOnceIsPutBackAndThenDeleted(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.lasting(10*time.Second + time.Second/2) // no put-back ends then, while the result is not yet published
		b.queueFaults.OnDuplicate(func(string) bool { b.queueFaults.OnDuplicate(nil); return true })
		b.send(ask("r"))
		b.want("r", run.Succeeded, 1)
		time.Sleep(time.Minute)
		b.noMore(time.Second)
		b.depth(b.partition, queue.Depth{})
		b.executions(1)
	})
}

func TestStoredResultIsPublishedAgainAndNothingIsInvoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, worker.Config{})
		b.resultFaults.OnCall(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpSend {
				return errors.New("refused")
			}
			return nil
		})
		b.start()
		b.send(ask("r"))
		time.Sleep(10 * time.Second)
		b.state(ask("r"), ledger.Done)
		b.depth(b.partition, queue.Depth{InFlight: 1}) // it is kept until its result is published
		if b.w.Ready() == nil {
			t.Error("the worker takes runs though it can't publish results")
		}
		b.Stop()

		b.resultFaults.OnCall(nil)
		b.start()
		b.want("r", run.Succeeded, 1)
		b.executions(1)
		b.noMore(time.Second)
		b.depth(b.partition, queue.Depth{})
		b.Stop()
	})
}

func TestResultThatIsTooLargeIsReplacedByOneThatSaysSo(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.behave(func(int) memfunction.Behaviour {
			return memfunction.Behaviour{Output: []byte(`"` + strings.Repeat("a", queue.MaxMessageBytes) + `"`)}
		})
		b.send(ask("r"))
		d := b.want("r", run.Failed, 1).Data
		if d.Error == nil || d.Error.Type != "ResultTooLarge" || d.Error.Owner != run.OwnerAuthor || !d.MayHaveExecuted {
			t.Errorf("the result is %+v", d)
		}
		b.depth(b.partition, queue.Depth{})
		if books, err := b.ledger.Books(context.Background()); err != nil || books.Finished[run.Failed] != 1 || books.Finished[run.Succeeded] != 0 {
			t.Errorf("the books count %+v, %v", books, err)
		}
	})
}

// The results queue takes nothing of the run, however small.
func TestResultThatIsRefusedForGoodIsNotTriedAgainAndAgain(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		sends := 0
		b.resultFaults.OnEntry(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpSend {
				sends++
				return queue.ErrTooLarge
			}
			return nil
		})
		b.send(ask("r"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if sends < 2 || sends > 2*10*60/20 { // two a delivery, which comes again every 24 s at most
			t.Errorf("it was sent %d times in ten minutes", sends)
		}
		b.resultFaults.OnEntry(nil)
		b.want("r", run.Succeeded, 1)
		b.executions(1)
	})
}

func TestLostDeleteIsMadeGoodByTheNextDelivery(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.queueFaults.OnDelete(func(queue.Delivery) bool { b.queueFaults.OnDelete(nil); return true })
		b.send(ask("r"))
		b.want("r", run.Succeeded, 1)
		time.Sleep(time.Minute)
		b.noMore(time.Second)
		b.depth(b.partition, queue.Depth{})
		b.executions(1)
	})
}

func TestDeadLetterWithoutAReasonIsAnsweredFor(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.accept(ask("r"))
		body, _ := ask("r").Encode()
		b.dead.Send(context.Background(), []queue.Message{{Body: body}})
		res := b.want("r", run.PlatformError, 1)
		if res.Data.Error.Type != "DeadLettered" {
			t.Errorf("the error is %+v", res.Data.Error)
		}
		time.Sleep(5 * time.Minute)
		b.noMore(time.Second)
		b.executions(0)
		if d, _ := b.dead.Depth(context.Background()); d.Total() != 1 {
			t.Errorf("the dead letters are %+v, want the one with the reason", d)
		}
	})
}
