package worker_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

func TestDrainFinishesWhatExecutesAndPutsBackWhatWaits(t *testing.T) {
	with(t, worker.Config{Concurrency: 2}, func(b *bench) {
		b.lasting(30 * time.Second)
		defer b.builds.hold("slow")()
		b.send(ask("executes-1"), ask("executes-2"))
		synctest.Wait()
		b.send(ask("waits for a turn"), ask("waits for a build", script("slow")))
		synctest.Wait()

		began := time.Now()
		b.StopIntake()
		synctest.Wait()
		b.depth(b.partition, queue.Depth{Visible: 2, InFlight: 2})
		b.send(ask("comes too late"))
		b.state(ask("waits for a turn"), ledger.Queued)
		b.state(ask("waits for a build", script("slow")), ledger.Queued)

		<-b.Over
		if d := time.Since(began); d < 30*time.Second || d > 31*time.Second {
			t.Errorf("the drain lasted %s, want the 30 s of what executes, and a moment for its delete", d)
		}
		for range 2 {
			if d := b.result().Data; d.Status != run.Succeeded {
				t.Errorf("a result is %+v", d)
			}
		}
		b.executions(2)
		b.depth(b.partition, queue.Depth{Visible: 3})
		b.state(ask("comes too late"), ledger.Queued)
	})
}

func TestDrainLeavesNoClaimThatWasUnderWay(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.ledger.Hook(func(op string) {
			if op == "claim" {
				time.Sleep(time.Second)
			}
		})
		for i := range 30 {
			b.send(ask(fmt.Sprint(i)))
		}
		synctest.Wait()
		b.StopIntake()
		<-b.Over
		b.depth(b.partition, queue.Depth{Visible: 30})
		open, err := b.ledger.Open(context.Background(), 100)
		if err != nil || len(open) != 30 {
			t.Fatalf("%d runs are open, %v", len(open), err)
		}
		for _, r := range open {
			if r.State != ledger.Queued {
				t.Errorf("%s is left %s", r.Entry.ID, r.State)
			}
		}
		b.executions(0)
	})
}

func TestEndOfTheWorkLeavesWhatExecutesToAnother(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.lasting(50 * time.Second)
		b.send(ask("r"), ask("once", atMostOnce))
		synctest.Wait()
		b.Stop()
		b.depth(b.partition, queue.Depth{Visible: 2})

		b.lasting(0)
		b.start()
		for range 2 {
			switch res := b.result(); {
			case res.Subject == "r" && (res.Data.Status != run.Succeeded || res.Data.Attempt != 2),
				res.Subject == "once" && (res.Data.Status != run.PlatformError || !res.Data.MayHaveExecuted):
				t.Errorf("the result is %+v", res)
			}
		}
		b.executions(3)
	})
}

func TestResultThatCannotBeWrittenDownIsNotPublished(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.lasting(10 * time.Second)
		b.send(ask("r"))
		synctest.Wait()
		b.ledger.Fail("all")
		time.Sleep(12 * time.Second)
		b.Stop()
		b.noMore(10 * time.Second)
		b.ledger.Fail("")
		b.start()
		b.want("r", run.Succeeded, 2)
		b.noMore(10 * time.Second)
	})
}
