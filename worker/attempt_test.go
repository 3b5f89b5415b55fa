package worker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/worker"
)

// failing makes the first n invocations behave like f.
func (b *bench) failing(n int, f memfunction.Behaviour) {
	b.behave(func(nth int) memfunction.Behaviour {
		if nth <= n {
			return f
		}
		return memfunction.Behaviour{}
	})
}

// claimed lets another worker claim the run, and begin an invocation if
// invoking is true.
func (b *bench) claimed(r run.Request, invoking bool) ledger.Hold {
	b.Helper()
	b.accept(r)
	as, err := b.ledger.Ledger.Claim(context.Background(), []ledger.Claim{{Entry: ledger.EntryOf(decode(b.T, r)), Owner: "other"}}, 15*time.Second)
	if err != nil || !as[0].Granted {
		b.Fatalf("%+v, %v", as, err)
	}
	hold := as[0].Hold
	if invoking {
		if errs, err := b.ledger.Ledger.Invoking(context.Background(), []ledger.Hold{hold}); err != nil || errs[0] != nil {
			b.Fatal(errs, err)
		}
		hold = hold.Begun()
	}
	return hold
}

func TestRunOfALiveWorkerIsPutBackUntilThatOneIsDone(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		hold := b.claimed(ask("r"), true)
		b.send(ask("r"))
		for range 12 {
			time.Sleep(5 * time.Second)
			if errs, err := b.ledger.Ledger.Renew(context.Background(), []ledger.Hold{hold}, 15*time.Second); err != nil || errs[0] != nil {
				t.Fatal(errs, err)
			}
		}
		b.executions(0)
		if err := b.ledger.Ledger.Published(context.Background(), []run.Key{hold.Entry.Key}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		b.depth(b.partition, queue.Depth{})
		b.executions(0)
		b.noMore(time.Second)
	})
}

func TestRunOfADeadWorkerGoesOnWithinThirtySeconds(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.claimed(ask("r"), true)
		began := time.Now()
		b.send(ask("r"))
		b.want("r", run.Succeeded, 2)
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("it was taken up after %s", d)
		}
	})
}

func TestRunThatWasClaimedAndNotInvokedHasNoAttempt(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.claimed(ask("r", atMostOnce), false)
		b.send(ask("r", atMostOnce))
		b.want("r", run.Succeeded, 1)
	})
}

func TestAtMostOnceRunIsNotInvokedAgain(t *testing.T) {
	for name, before := range map[string]func(*bench){
		"its worker died":      func(b *bench) { b.claimed(ask("r", atMostOnce), true); b.send(ask("r", atMostOnce)) },
		"the ledger forgot it": func(b *bench) { b.put(ask("r", atMostOnce)) },
		"no answer came": func(b *bench) {
			b.failing(9, memfunction.Behaviour{Fault: function.Ambiguous})
			b.send(ask("r", atMostOnce))
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, worker.Config{}, func(b *bench) {
				before(b)
				d := b.want("r", run.PlatformError, 1).Data
				if !d.MayHaveExecuted || d.Error.Type != "MayHaveExecuted" {
					t.Errorf("the result is %+v", d)
				}
				b.executions(0)
				b.depth(b.partition, queue.Depth{})
			})
		})
	}
}

func TestForgottenRunTellsOfTheAttemptThatItMayHaveHad(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.send(ask("warm"))
		b.want("warm", run.Succeeded, 1)
		b.put(ask("r"))
		b.want("r", run.Succeeded, 2)
	})
}

func TestRunWithoutAnAnswerIsInvokedUpToMaxAttempts(t *testing.T) {
	with(t, worker.Config{MaxAttempts: 3}, func(b *bench) {
		b.failing(99, memfunction.Behaviour{Fault: function.Ambiguous, Executes: true})
		b.send(ask("r"))
		d := b.want("r", run.PlatformError, 3).Data
		if !d.MayHaveExecuted || d.Error.Type != "AttemptsExhausted" {
			t.Errorf("the result is %+v", d)
		}
		b.executions(3)
		b.state(ask("r"), ledger.Published)
	})
}

func TestSecondAnswerIsTheResultOfTheSecondAttempt(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.failing(1, memfunction.Behaviour{Fault: function.Ambiguous, Executes: true})
		b.send(ask("r"))
		b.want("r", run.Succeeded, 2)
		b.executions(2)
	})
}

func TestInvocationThatReachedNoFunctionIsNoAttempt(t *testing.T) {
	for _, class := range []function.Class{function.Throttled, function.NotReady, function.Unsent, function.NotFound, function.BadState, function.BadSignature} {
		with(t, worker.Config{}, func(b *bench) {
			b.failing(5, memfunction.Behaviour{Fault: class})
			b.send(ask("r", atMostOnce))
			b.want("r", run.Succeeded, 1)
			b.executions(1)
			missing := class == function.NotFound || class == function.BadState
			if (len(b.builds.forgot) == 5) != missing {
				t.Errorf("%s: the build was forgotten %d times", class, len(b.builds.forgot))
			}
		})
	}
}

func TestRunThatCannotBeInvokedIsGivenUpInTime(t *testing.T) {
	with(t, worker.Config{GiveUpAfter: 10 * time.Minute}, func(b *bench) {
		b.failing(999, memfunction.Behaviour{Fault: function.Throttled})
		began := time.Now()
		b.send(ask("r"))
		d := b.want("r", run.PlatformError, 1).Data
		if d.MayHaveExecuted || d.Error.Owner != run.OwnerOperator || time.Since(began) > 12*time.Minute {
			t.Errorf("after %s: %+v", time.Since(began), d)
		}
	})
}

func TestThrottledRunSaysThatItWaitsForTheThrottle(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.failing(999, memfunction.Behaviour{Fault: function.Throttled})
		r := ask("r")
		b.send(r)
		time.Sleep(500 * time.Millisecond) // put back, and not yet come again
		b.state(r, ledger.Queued)
		rec, err := b.ledger.Lookup(context.Background(), run.KeyOf(r.Tenant, r.Source, r.ID))
		if err != nil || rec.Waiting != "Lambda's throttle to pass" {
			t.Errorf("it waits for %q (%v)", rec.Waiting, err)
		}
		b.failing(0, memfunction.Behaviour{})
		b.want("r", run.Succeeded, 1)
	})
}

func TestFaultThatOneMustMendEndsTheRunAtOnce(t *testing.T) {
	for class, owner := range map[function.Class]run.Owner{
		function.Denied: run.OwnerOperator, function.Operator: run.OwnerOperator, function.Refused: run.OwnerPlatform,
	} {
		with(t, worker.Config{}, func(b *bench) {
			b.failing(1, memfunction.Behaviour{Fault: class})
			b.send(ask("r"))
			d := b.want("r", run.PlatformError, 1).Data
			if d.Error.Owner != owner || d.Error.Message == "" || d.MayHaveExecuted {
				t.Errorf("%s: may have executed: %t, %+v", class, d.MayHaveExecuted, d.Error)
			}
			b.executions(0)
		})
	}
}

func TestPutBacksGrowAndDiffer(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.failing(999, memfunction.Behaviour{Fault: function.Throttled})
		var rs []run.Request
		for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
			rs = append(rs, ask(id))
		}
		b.send(rs...)
		time.Sleep(10 * time.Minute)
		calls := map[string][]time.Time{}
		for _, c := range b.functions.Calls("Invoke") {
			calls[string(c.Payload)] = append(calls[string(c.Payload)], c.At)
		}
		seconds := map[time.Duration]bool{}
		for payload, at := range calls {
			if n := len(at); n < 10 || n > 60 {
				t.Errorf("%s was tried %d times in ten minutes", payload, n)
			}
			if first, last := at[1].Sub(at[0]), at[len(at)-1].Sub(at[0]); first > 2100*time.Millisecond || last < 5*time.Minute {
				t.Errorf("%s was tried again after %s, and last after %s", payload, first, last)
			}
			seconds[at[len(at)-1].Sub(at[0])] = true
		}
		if len(seconds) < 3 {
			t.Errorf("all were tried at the same moments: %v", seconds)
		}
	})
}

func TestExpiredDuplicateOfAFinishedRunGetsNoSecondResult(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		r := ask("r", expiring(time.Minute))
		b.send(r)
		b.want("r", run.Succeeded, 1)
		time.Sleep(2 * time.Minute)
		b.put(r)
		b.noMore(10 * time.Second)
		b.depth(b.partition, queue.Depth{})
	})
}

func TestRunExpiresBeforeItIsBegun(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.send(ask("late", expiring(-time.Second)))
		b.want("late", run.Expired, 1)

		built := b.builds.hold("slow")
		defer built()
		began := time.Now()
		b.send(ask("waits", script("slow"), expiring(30*time.Second)))
		d := b.want("waits", run.Expired, 1).Data
		if d.MayHaveExecuted || time.Since(began) != 30*time.Second {
			t.Errorf("after %s: %+v", time.Since(began), d)
		}
		b.executions(0)
	})
}

func TestRunIsCancelledUnlessItWasInvoked(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		cancel := func(r run.Request) {
			if _, err := b.ledger.Ledger.Cancel(context.Background(), ledger.EntryOf(decode(t, r))); err != nil {
				t.Fatal(err)
			}
		}
		queued := ask("queued")
		cancel(queued)
		b.send(queued)
		b.want("queued", run.Cancelled, 1)

		built := b.builds.hold("slow")
		defer built()
		parked := ask("parked", script("slow"))
		b.send(parked)
		synctest.Wait()
		cancel(parked)
		if d := b.want("parked", run.Cancelled, 1).Data; d.MayHaveExecuted {
			t.Errorf("the result is %+v", d)
		}
		b.executions(0)

		b.lasting(20 * time.Second)
		invoked := ask("invoked")
		b.send(invoked)
		synctest.Wait()
		cancel(invoked)
		b.want("invoked", run.Succeeded, 1)
	})
}
