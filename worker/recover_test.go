package worker_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

// panicked counts the panics that the worker has recovered.
func (b *bench) panicked() float64 {
	b.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "scriptfleet_worker_panics_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	b.Fatal("panics are not counted")
	return 0
}

// TestPanicFailsItsRunAndNoOther lets each part that a worker calls for a
// single run panic for the runs of one tenant.
func TestPanicFailsItsRunAndNoOther(t *testing.T) {
	for part, c := range map[string]struct {
		set      func(*bench)
		executed bool
	}{
		"function": {func(b *bench) {
			b.functions.SetBehave(func(c memfunction.Call) memfunction.Behaviour {
				if c.Op == "Invoke" && c.Tenant == "cursed" {
					panic("index out of range")
				}
				return memfunction.Behaviour{}
			})
		}, true},
		"builder":     {func(b *bench) { b.builds.curse = "def main(input): cursed" }, false},
		"limits":      {func(b *bench) { b.panicking.limits = true }, false},
		"credentials": {func(b *bench) { b.panicking.credentials = true }, false},
	} {
		t.Run(part, func(t *testing.T) {
			with(t, worker.Config{Concurrency: 1, Reserve: new(0)}, func(b *bench) {
				c.set(b)
				cursed := ask("r", of("cursed"), script("def main(input): cursed"), func(r *run.Request) { r.Data.Credential = "aws" })
				b.send(ask("before"), cursed, ask("after"), ask("other", of("globex")))
				for range 4 {
					res := b.result()
					if res.Tenant != "cursed" {
						if res.Data.Status != run.Succeeded {
							t.Errorf("%s of %s is %s", res.Subject, res.Tenant, res.Data.Status)
						}
						continue
					}
					e := res.Data.Error
					if res.Data.Status != run.PlatformError || e.Owner != run.OwnerPlatform || res.Data.MayHaveExecuted != c.executed {
						t.Errorf("the result is %+v, %+v", res.Data, e)
					}
					lines := b.logs.FilterMessage("panic").All()
					if len(lines) != 1 || lines[0].Level != zapcore.ErrorLevel {
						t.Fatalf("the log says %v", lines)
					}
					line := lines[0].ContextMap()
					if !strings.Contains(e.Message, line["id"].(string)) || line["tenant"] != "cursed" || !strings.Contains(line["stack"].(string), "walk") {
						t.Errorf("the result says %q, the log %v", e.Message, line)
					}
				}
				if n := b.panicked(); n != 1 {
					t.Errorf("%v panics are counted", n)
				}
				b.depth(b.partition, queue.Depth{})
			})
		})
	}
}

func TestPanicWhileADeliveryIsReadBuriesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, worker.Config{}, func(d *worker.Deps) { d.Policy = nil })
		b.start()
		defer func() { b.Stop() }()
		b.send(ask("r"))
		b.depth(b.partition, queue.Depth{})
		ds, err := b.dead.Receive(context.Background(), queue.Poll{Max: 10, Visibility: time.Minute})
		if err != nil || len(ds) != 1 || ds[0].Attributes[run.AttributeErrorType] != "InternalError" {
			t.Fatalf("the dead letters are %+v, %v", ds, err)
		}
		if n := b.panicked(); n != 1 {
			t.Errorf("%v panics are counted", n)
		}
	})
}

func TestPanicWhileADeliveryIsSettledLeavesItToTheNextOne(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.failing(1, memfunction.Behaviour{Fault: function.Throttled})
		var once sync.Once
		b.queueFaults.OnCall(func(op memqueue.Op, _ int) error {
			if op == memqueue.OpExtend {
				once.Do(func() { panic("extend") })
			}
			return nil
		})
		b.send(ask("r"))
		b.want("r", run.Succeeded, 1)
		b.depth(b.partition, queue.Depth{})
		if n := b.panicked(); n != 1 {
			t.Errorf("%v panics are counted", n)
		}
	})
}

// TestLoopThatPanicsGoesOn lets each loop that serves all runs panic once, and
// expects it to go on.
func TestLoopThatPanicsGoesOn(t *testing.T) {
	once := func(at any) func(any) {
		var done sync.Once
		return func(op any) {
			if op == at {
				done.Do(func() { panic(op) })
			}
		}
	}
	ofQueue := func(at memqueue.Op) func(memqueue.Op, int) error {
		cursed := once(at)
		return func(op memqueue.Op, _ int) error { cursed(op); return nil }
	}
	for loop, c := range map[string]struct{ set, prove func(*bench) }{
		"receive": {func(b *bench) { b.queueFaults.OnCall(ofQueue(memqueue.OpReceive)) }, func(*bench) {}},
		// Without a heartbeat another worker would get the claim and the
		// delivery.
		"heartbeat": {func(b *bench) {
			cursed := once("renew")
			b.ledger.Hook(func(op string) { cursed(op) })
		}, func(b *bench) { b.executions(1) }},
		"dead letters": {func(b *bench) { b.deadFaults.OnCall(ofQueue(memqueue.OpReceive)) }, func(b *bench) {
			body, err := ask("dead").Encode()
			if err != nil {
				b.Fatal(err)
			}
			b.dead.Send(context.Background(), []queue.Message{{Body: body}})
			b.want("dead", run.PlatformError, 1)
		}},
	} {
		t.Run(loop, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, worker.Config{})
				b.lasting(50 * time.Second)
				c.set(b)
				b.start()
				defer func() { b.Stop() }()
				b.send(ask("r"))
				b.want("r", run.Succeeded, 1)
				c.prove(b)
				if n := b.panicked(); n != 1 || b.logs.FilterMessage("panic").Len() != 1 {
					t.Errorf("%v panics are counted, the log has %v", n, b.logs.FilterMessage("panic").All())
				}
			})
		})
	}
}

// TestPanicInACallThatRunsShareFailsNone: those that shared it are put back.
func TestPanicInACallThatRunsShareFailsNone(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		var once sync.Once
		b.ledger.Hook(func(op string) {
			if op == "claim" {
				once.Do(func() { panic("claim") })
			}
		})
		b.send(ask("r"))
		b.want("r", run.Succeeded, 1)
		lines := b.logs.FilterMessage("panic").All()
		if n := b.panicked(); n != 1 || len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["stack"].(string), "inmemory") {
			t.Errorf("%v panics are counted, the log has %v", n, lines)
		}
	})
}
