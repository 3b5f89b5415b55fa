package dispatcher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestRequestGoesToItsTenantsShardAsItCame(t *testing.T) {
	with(t, func(b *bench) {
		b.send(ask("r"))
		ds := b.sent()
		want, _ := ask("r").Encode()
		if len(ds) != 1 || !bytes.Equal(ds[0].Body, want) || ds[0].Group != "acme" {
			t.Fatalf("the partitions hold %+v", ds)
		}
		if at := run.RequestedAt(ds[0].Attributes, time.Time{}); !at.Equal(ds[0].SentAt) {
			t.Errorf("it was requested at %s, which is not told: %v", ds[0].SentAt, ds[0].Attributes)
		}
		rec, err := b.ledger.Lookup(context.Background(), key("r"))
		if err != nil || rec.State != ledger.Queued || rec.Entry.ID != "r" || rec.Entry.Script == "" {
			t.Errorf("the ledger has %+v, %v", rec, err)
		}
		b.nothingLeft()
	})
}

func TestWhatIsOverATenantsBacklogGoesToTheSide(t *testing.T) {
	with(t, func(b *bench) {
		b.backlog = 5
		for i := range 8 {
			b.send(ask(fmt.Sprint(i)))
		}
		if n, side := len(b.sent()), len(b.take(b.side)); n != 5 || side != 3 {
			t.Errorf("%d runs on partitions and %d on the side, want 5 and 3", n, side)
		}
	})
}

func TestRefusedRequestIsAnsweredOnceWithTheSameEvent(t *testing.T) {
	with(t, func(b *bench) {
		b.unknown = "stranger"
		bad := ask("bad", func(r *run.Request) { r.Data.Runtime = "cobol" })
		b.send(bad, ask("r", func(r *run.Request) { r.Tenant = "stranger" }))
		for _, res := range b.answers(2) {
			d := res.Data
			if d.Status != run.Rejected || d.Error == nil || d.Attempt != 1 || d.MayHaveExecuted ||
				res.Subject == "bad" && d.Error.Type != run.UnknownRuntime || res.Subject == "r" && d.Error.Type != "UnknownTenant" {
				t.Errorf("the answer is %+v", res)
			}
		}
		time.Sleep(time.Minute)
		b.send(bad)
		b.answers(0)
		if n := len(b.sent()); n != 0 {
			t.Errorf("%d went on", n)
		}
		b.nothingLeft()
	})
}

func TestAnswerThatCameOutTwiceIsTheSame(t *testing.T) {
	with(t, func(b *bench) {
		b.ledger.Fail("published") // as if it had died right after the send
		bad := ask("bad", func(r *run.Request) { r.Data.Runtime = "cobol" })
		b.send(bad)
		time.Sleep(time.Minute)
		b.send(bad)
		ds := b.take(b.results)
		if len(ds) != 2 || !bytes.Equal(ds[0].Body, ds[1].Body) {
			t.Errorf("there are %d results, and they differ", len(ds))
		}
	})
}

func TestRequestThatNamesNobodyIsBuriedWithItsReason(t *testing.T) {
	for _, body := range []string{"no JSON", `{}`, `{"specversion":"1.0","type":"scriptfleet.run.requested","tenant":"acme","source":"/s","data":{"script":"x"}}`} {
		with(t, func(b *bench) {
			b.sendBody([]byte(body))
			ds := b.take(b.dead)
			if len(ds) != 1 || string(ds[0].Body) != body || ds[0].Attributes[run.AttributeReason] == "" || ds[0].Attributes[run.AttributeErrorType] == "" {
				t.Errorf("the dead letters are %+v", ds)
			}
			if n := b.logs.FilterMessageSnippet("request is buried").Len(); n != 1 {
				t.Errorf("the log says %d times that it is buried", n)
			}
			b.answers(0)
			b.nothingLeft()
		})
	}
}

func TestRequestIsNotCalledBuriedBeforeItIs(t *testing.T) {
	with(t, func(b *bench) {
		b.deadFaults.OnCall(refuse(memqueue.OpSend))
		b.sendBody([]byte("no JSON"))
		time.Sleep(time.Minute)
		if n := b.logs.FilterMessageSnippet("request is buried").Len(); n != 0 {
			t.Errorf("the log says %d times that it is buried", n)
		}
		b.deadFaults.OnCall(nil)
		time.Sleep(time.Minute)
		if n := b.logs.FilterMessageSnippet("request is buried").Len(); n != 1 || len(b.take(b.dead)) != 1 {
			t.Errorf("the log says %d times that it is buried", n)
		}
	})
}

func TestRequestThatFitsOnNoPartitionIsRejected(t *testing.T) {
	with(t, func(b *bench) {
		r := ask("large", func(r *run.Request) { r.Data.Input = []byte(`{"a":""}`) })
		body, _ := r.Encode()
		r.Data.Input = fmt.Appendf(nil, `{"a":"%s"}`, strings.Repeat("a", queue.MaxMessageBytes-len(body)))
		b.send(r)
		if res := b.answers(1)[0]; res.Data.Status != run.Rejected || res.Data.Error.Type != "RequestTooLarge" {
			t.Errorf("the answer is %+v", res)
		}
		b.nothingLeft()
	})
}

func TestDuplicateOfAnUnfinishedRunIsSentAgain(t *testing.T) {
	with(t, func(b *bench) {
		b.send(ask("r"), ask("r"))
		if n := len(b.sent()); n != 2 { // the first send may have been lost; the workers recognise a duplicate
			t.Errorf("%d were sent, want both", n)
		}
	})
}

func TestDuplicateOfAFinishedRunGoesNoFurther(t *testing.T) {
	with(t, func(b *bench) {
		b.send(ask("r"))
		b.sent()
		if err := b.ledger.Ledger.Published(context.Background(), []run.Key{key("r")}); err != nil {
			t.Fatal(err)
		}
		b.send(ask("r"))
		if n := len(b.sent()); n != 0 {
			t.Errorf("%d were sent again", n)
		}
		b.nothingLeft()
	})
}

func TestCancellationTellsTheStateThatTheRunWasIn(t *testing.T) {
	with(t, func(b *bench) {
		b.send(ask("queued"), ask("invoking"), ask("done"))
		hold := b.claim("invoking")
		if _, err := b.ledger.Invoking(context.Background(), []ledger.Hold{hold}); err != nil {
			t.Fatal(err)
		}
		if err := b.ledger.Ledger.Published(context.Background(), []run.Key{key("done")}); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]string{
			"queued":   `{"cancelled":true,"run":"queued","state":"queued"}`,
			"invoking": `{"cancelled":false,"run":"invoking","state":"invoking"}`,
			"done":     `{"cancelled":false,"run":"done","state":"published"}`,
			"never":    `{"cancelled":false,"run":"never","state":"unknown"}`,
		} {
			b.send(cancelling("c-"+id, id))
			res := b.answers(1)[0]
			if string(res.Data.Output) != want || res.Data.Status != run.Succeeded || res.Subject != "c-"+id {
				t.Errorf("the answer is %s, %s, want %s", res.Data.Status, res.Data.Output, want)
			}
		}
		marks, err := b.ledger.Cancelled(context.Background(), []run.Key{key("queued"), key("never"), key("done")})
		if err != nil || !marks[0] || !marks[1] || marks[2] {
			t.Errorf("the marks are %v, %v", marks, err)
		}
		b.nothingLeft()
	})
}

func (b *bench) claim(id string) ledger.Hold {
	b.Helper()
	as, err := b.ledger.Ledger.Claim(context.Background(), []ledger.Claim{{Entry: ledger.Entry{Key: key(id)}, Owner: "w"}}, time.Minute)
	if err != nil || !as[0].Granted {
		b.Fatal(as, err)
	}
	return as[0].Hold
}

func TestNothingIsDeletedBeforeItIsOnItsNextQueue(t *testing.T) {
	for name, breakIt := range map[string]func(*bench) (mend func()){
		"the ledger is out of reach": func(b *bench) func() { b.ledger.Fail("all"); return func() { b.ledger.Fail("") } },
		"the partitions refuse": func(b *bench) func() {
			b.partitionFaults.OnCall(refuse(memqueue.OpSend))
			return func() { b.partitionFaults.OnCall(nil) }
		},
		"the results refuse": func(b *bench) func() {
			b.resultFaults.OnCall(refuse(memqueue.OpSend))
			return func() { b.resultFaults.OnCall(nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(b *bench) {
				mend := breakIt(b)
				b.send(ask("good"), ask("bad", func(r *run.Request) { r.Data.Runtime = "cobol" }))
				time.Sleep(20 * time.Second)
				d, _ := b.requests.Depth(context.Background())
				pauses := name == "the ledger is out of reach"
				if d.Total() == 0 || (b.d.Ready() != nil) != pauses {
					t.Errorf("the requests queue holds %+v, and the dispatcher says %v", d, b.d.Ready())
				}
				mend()
				time.Sleep(time.Minute)
				if n := len(b.sent()); n != 1 {
					t.Errorf("%d runs were sent, want 1", n)
				}
				b.answers(1)
				b.nothingLeft()
				if err := b.d.Ready(); err != nil {
					t.Errorf("the dispatcher still says %v", err)
				}
			})
		})
	}
}

func TestBatchThatFailsInPartIsSentInFull(t *testing.T) {
	with(t, func(b *bench) {
		var calls atomic.Int64
		some := func(op memqueue.Op, _ int) error {
			if n := calls.Add(1); n%3 == 0 && op != memqueue.OpReceive && n < 200 {
				return errors.New("this entry failed")
			}
			return nil
		}
		b.partitionFaults.OnEntry(some)
		for i := range 30 {
			b.send(ask(fmt.Sprint(i)))
		}
		time.Sleep(5 * time.Minute)
		ids := map[string]bool{}
		for _, d := range b.sent() {
			r, _ := inmemory.Policy.Decode(d.Body, time.Now())
			ids[r.ID] = true
		}
		if len(ids) != 30 {
			t.Errorf("%d of 30 runs arrived", len(ids))
		}
		b.nothingLeft()
	})
}

func TestQueuesAreReadSeldomWhileNothingChanges(t *testing.T) {
	with(t, func(b *bench) {
		var reads atomic.Int64
		b.requestFaults.OnCall(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpDepth {
				reads.Add(1)
			}
			return nil
		})
		within := func(d time.Duration) int64 {
			reads.Store(0)
			time.Sleep(d)
			return reads.Load()
		}
		within(time.Minute)
		if n := within(160 * time.Second); n < 9 || n > 11 {
			t.Errorf("the queues of an idle fleet are read %d times in 160 s, want every 16 s", n)
		}
		b.send(ask("r"))
		within(20 * time.Second) // it is noticed
		b.send(ask("s"))
		within(16 * time.Second)
		b.send(ask("t"))
		if n := within(16 * time.Second); n < 2 {
			t.Errorf("the queues of a fleet that has just changed are read %d times in 16 s", n)
		}
	})
}

func TestLostDeleteIsMadeGoodByTheNextDelivery(t *testing.T) {
	with(t, func(b *bench) {
		b.requestFaults.OnDelete(func(queue.Delivery) bool { b.requestFaults.OnDelete(nil); return true })
		b.send(ask("r"))
		time.Sleep(2 * time.Minute)
		if n := len(b.sent()); n != 2 {
			t.Errorf("%d were sent, want 2: the workers know that they are one", n)
		}
		b.nothingLeft()
	})
}

func TestStopFinishesWhatIsInHandAndTakesNoMore(t *testing.T) {
	with(t, func(b *bench) {
		b.send(ask("r"))
		b.StopIntake()
		<-b.Over
		b.nothingLeft()
		b.send(ask("late"))
		if n := len(b.sent()); n != 1 {
			t.Errorf("%d were sent, want the one from before", n)
		}
	})
}

func TestMetricsTellWhatBecameOfRequests(t *testing.T) {
	with(t, func(b *bench) {
		b.send(ask("r"), ask("bad", func(r *run.Request) { r.Data.Runtime = "cobol" }), cancelling("c", "r"))
		b.sendBody([]byte("no JSON"))
		settle()
		want := `
# HELP scriptfleet_dispatcher_handled_total Deliveries of requests that were handled, by what became of them.
# TYPE scriptfleet_dispatcher_handled_total counter
scriptfleet_dispatcher_handled_total{outcome="buried"} 1
scriptfleet_dispatcher_handled_total{outcome="cancelled"} 1
scriptfleet_dispatcher_handled_total{outcome="duplicate"} 0
scriptfleet_dispatcher_handled_total{outcome="failed"} 0
scriptfleet_dispatcher_handled_total{outcome="forwarded"} 1
scriptfleet_dispatcher_handled_total{outcome="moved"} 0
scriptfleet_dispatcher_handled_total{outcome="put_back"} 0
scriptfleet_dispatcher_handled_total{outcome="rejected"} 1
# HELP scriptfleet_dispatcher_received_total Deliveries received from the requests queue.
# TYPE scriptfleet_dispatcher_received_total counter
scriptfleet_dispatcher_received_total 4
`
		if err := testutil.GatherAndCompare(b.metrics, strings.NewReader(want),
			"scriptfleet_dispatcher_handled_total", "scriptfleet_dispatcher_received_total"); err != nil {
			t.Error(err)
		}
	})
}
