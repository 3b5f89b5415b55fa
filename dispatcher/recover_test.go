package dispatcher_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap/zapcore"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestPanicFailsItsRequestAndNoOther(t *testing.T) {
	with(t, func(b *bench) {
		b.cursed = "cursed"
		b.send(ask("before"), ask("r", of("cursed")), ask("after"))
		res := b.answers(1)[0]
		if e := res.Data.Error; res.Tenant != "cursed" || res.Data.Status != run.PlatformError || e.Owner != run.OwnerPlatform || res.Data.MayHaveExecuted {
			t.Errorf("the answer is %+v, %+v", res.Data, e)
		}
		lines := b.logs.FilterMessage("panic").All()
		if len(lines) != 1 || lines[0].Level != zapcore.ErrorLevel {
			t.Fatalf("the log has %+v", lines)
		}
		fields := lines[0].ContextMap()
		if id, _ := fields["id"].(string); id == "" || !strings.Contains(res.Data.Error.Message, id) {
			t.Errorf("the id %v of the log is not in %q", fields["id"], res.Data.Error.Message)
		}
		if stack, _ := fields["stack"].(string); !strings.Contains(stack, "dispatcher_test.(*bench)") {
			t.Errorf("the stack is %s", stack)
		}
		if n := len(b.sent()); n != 2 {
			t.Errorf("%d of the other requests were sent, want 2", n)
		}
		b.nothingLeft()
		want := "# HELP scriptfleet_dispatcher_panics_total Panics that were caught: each has failed one request, or had a loop begin again.\n" +
			"# TYPE scriptfleet_dispatcher_panics_total counter\nscriptfleet_dispatcher_panics_total 1\n"
		if err := testutil.GatherAndCompare(b.metrics, strings.NewReader(want), "scriptfleet_dispatcher_panics_total"); err != nil {
			t.Error(err)
		}
	})
}

func TestRequestThatCannotEvenBeAnsweredIsBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatcher.Config{}, func(d *dispatcher.Deps) { d.Policy = nil })
		b.start()
		defer func() { b.Stop() }()
		b.send(ask("r"))
		ds := b.take(b.dead)
		if len(ds) != 1 || ds[0].Attributes[run.AttributeErrorType] != "InternalError" {
			t.Errorf("the dead letters are %+v", ds)
		}
		b.answers(0)
		b.nothingLeft()
	})
}

// TestLoopThatPanicsGoesOn lets each loop that serves all requests panic once,
// and expects it to go on.
func TestLoopThatPanicsGoesOn(t *testing.T) {
	ofRequests := func(at memqueue.Op) func(*bench, func()) {
		return func(b *bench, curse func()) {
			b.requestFaults.OnCall(func(op memqueue.Op, _ int) error {
				if op == at {
					curse()
				}
				return nil
			})
		}
	}
	for loop, set := range map[string]func(b *bench, curse func()){
		"poll":   ofRequests(memqueue.OpReceive),
		"depths": ofRequests(memqueue.OpDepth),
		"backlogs": func(b *bench, curse func()) {
			b.ledger.Hook(func(op string) {
				if op == "backlogs" {
					curse()
				}
			})
		},
	} {
		t.Run(loop, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, dispatcher.Config{Pollers: 1, MaxInHand: 10})
				var panicked, calls atomic.Int64
				set(b, func() {
					if calls.Add(1); panicked.CompareAndSwap(0, 1) {
						panic(loop)
					}
				})
				b.start()
				defer func() { b.Stop() }()
				b.send(ask("r"))
				time.Sleep(5 * time.Second)
				if n := len(b.sent()); n != 1 || panicked.Load() != 1 || calls.Load() < 2 {
					t.Errorf("%d requests are sent, after %d calls", n, calls.Load())
				}
				if lines := b.logs.FilterMessage("panic").All(); len(lines) != 1 || lines[0].ContextMap()["id"] == "" {
					t.Errorf("the log has %v", lines)
				}
			})
		})
	}
}
