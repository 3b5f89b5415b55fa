package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/registry/memregistry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/worker"
)

var bridging = worker.Config{EnvRunner: true}

// runnerOf makes the env runner of a request's script, and has the builder know
// it.
func (b *bench) runnerOf(r run.Request) (name string) {
	b.Helper()
	runner, ok := inmemory.Policy.Runner(decode(b.T, r).Script)
	if !ok {
		b.Fatal("the script has no env runner")
	}
	name = run.FunctionName("sim", r.Tenant, runner.Hash)
	_ = b.functions.Create(context.Background(), function.Spec{Name: name, TimeoutSeconds: 75})
	b.builds.runner = true
	return name
}

func TestNewScriptRunsInItsEnvRunner(t *testing.T) {
	for _, change := range []func(*run.Request){func(*run.Request) {}, atMostOnce} {
		with(t, bridging, func(b *bench) {
			r := ask("new", script("new"), change)
			runner := b.runnerOf(r)
			b.builds.hold("new")
			b.send(r)
			d := b.want("new", run.Succeeded, 1).Data
			if d.Build.Outcome != run.BuildBridged || !d.Function.Runner || !d.MayHaveExecuted {
				t.Errorf("the result is %+v, of %+v", d, d.Function)
			}
			calls := b.functions.Executions()
			var given struct {
				Script struct {
					Source         string
					Hash           run.ScriptHash
					TimeoutSeconds int `json:"timeout_seconds"`
				}
				Input struct{ Run string }
			}
			if err := json.Unmarshal(calls[0].Payload, &given); err != nil || len(calls) != 1 || calls[0].Name != runner ||
				given.Script.Source != "new" || given.Script.Hash != decode(t, r).Script.Hash || given.Script.TimeoutSeconds != 60 || given.Input.Run != "new" {
				t.Errorf("%d calls, the first of %s with %+v (%v)", len(calls), calls[0].Name, given, err)
			}
			settle()
			if n := b.counted("scriptfleet_worker_builds_total", "bridged"); n != 1 {
				t.Errorf("%v runs are counted as bridged", n)
			}
		})
	}
}

func TestOnlyWhoMayUsesAnEnvRunner(t *testing.T) {
	for name, c := range map[string]struct {
		cfg    worker.Config
		change func(b *bench, r *run.Request)
	}{
		"off for the fleet":  {worker.Config{}, func(*bench, *run.Request) {}},
		"off for the tenant": {bridging, func(b *bench, _ *run.Request) { b.limits.NoRunner = true }},
		"shell commands":     {bridging, func(_ *bench, r *run.Request) { r.Data.Runtime = "aws-cli" }},
		"saved":              {bridging, func(_ *bench, r *run.Request) { r.Type, r.Data.Input = run.TypeSaved, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, c.cfg, func(b *bench) {
				r := ask("r", script("new"))
				b.runnerOf(r)
				c.change(b, &r)
				built := b.builds.hold("new")
				b.send(r)
				time.Sleep(time.Minute)
				b.executions(0)
				built()
				if d := b.want("r", run.Succeeded, 1).Data; d.Build.Outcome != run.BuildBuilt {
					t.Errorf("the result is %+v", d)
				}
			})
		})
	}
}

// What a runner does not execute has not executed: the run waits for its own
// function, with the same attempt, turn and slots as if there were no runner.
func TestRunWaitsForItsFunctionIfTheRunnerDoesNotExecuteIt(t *testing.T) {
	refusals := map[string]memfunction.Behaviour{
		"takes another hash only": {NotTaken: "WrongHash"},
	}
	for _, class := range []function.Class{function.NotFound, function.BadState, function.NotReady, function.Throttled, function.Refused, function.Denied, function.Operator} {
		refusals[string(class)] = memfunction.Behaviour{Fault: class}
	}
	for name, refusal := range refusals {
		for _, change := range []func(*run.Request){func(*run.Request) {}, atMostOnce} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t, bridging)
					b.limits.MaxRunning = 1
					b.start()
					defer func() { b.Stop() }()
					r := ask("r", script("new"), change)
					runner := b.runnerOf(r)
					b.functions.SetBehave(func(c memfunction.Call) memfunction.Behaviour {
						if c.Op == "Invoke" && c.Name == runner {
							return refusal
						}
						return memfunction.Behaviour{}
					})
					built := b.builds.hold("new")
					b.send(r)
					time.Sleep(5 * time.Second)
					if n, err := b.slots.InUse(t.Context(), []string{slot.Scope("tenant", "acme")}); err != nil || n[0] != 0 {
						t.Errorf("it waits with %d slots", n)
					}
					b.state(r, ledger.Claimed)
					b.send(ask("other"))
					b.want("other", run.Succeeded, 1) // the only slot is free
					built()
					d := b.want("r", run.Succeeded, 1).Data
					if d.Build.Outcome != run.BuildBuilt || d.Function.Runner {
						t.Errorf("the result is %+v, of %+v", d, d.Function)
					}
					b.depth(b.partition, queue.Depth{})
					class := string(refusal.Fault)
					if class == "" {
						class = string(function.NotTaken)
					}
					if n := b.counted("scriptfleet_worker_runner_refusals_total", class); n != 1 {
						t.Errorf("%v refusals of class %s are counted", n, class)
					}
					if gone := refusal.Fault == function.NotFound || refusal.Fault == function.BadState; gone != (len(b.builds.forgot) == 1) {
						t.Errorf("forgotten: %d", len(b.builds.forgot))
					}
				})
			})
		}
	}
}

func TestScriptThatIsTooLargeForARunnerWaitsForItsFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := memqueue.New("large", memqueue.Options{MaxBytes: 2 * function.MaxPayloadBytes}) // as with claim checks
		b := newBench(t, bridging, func(d *worker.Deps) { d.Partitions = []queue.Queue{large} })
		b.partition = large
		b.start()
		defer func() { b.Stop() }()
		source := "#" + strings.Repeat("x", 400<<10)
		r := ask("large", script(source))
		r.Data.Input = fmt.Appendf(nil, `{"run": "large", "more": %q}`, strings.Repeat("y", function.MaxPayloadBytes-300<<10))
		b.runnerOf(r)
		built := b.builds.hold(source)
		b.send(r)
		time.Sleep(time.Second)
		built()
		if d := b.want("large", run.Succeeded, 1).Data; d.Build.Outcome != run.BuildBuilt {
			t.Errorf("its build is %+v", d.Build)
		}
	})
}

func TestSyntaxErrorThatARunnerFindsFailsTheBuild(t *testing.T) {
	with(t, bridging, func(b *bench) {
		r := ask("r", script("new"))
		b.runnerOf(r)
		b.builds.hold("new")
		b.behave(func(int) memfunction.Behaviour {
			return memfunction.Behaviour{Invocation: &function.Invocation{Payload: []byte(
				`{"output": null, "error": {"type": "SyntaxError", "message": "mend it", "traceback": "", "phase": "import", "line": 1, "ours": true}, "stdout": "", "stderr": ""}`)}}
		})
		b.send(r)
		b.want("r", run.BuildFailed, 1)
	})
}

// No answer of a runner is judged as no answer of a function.
func TestRunnerThatGivesNoAnswerMayHaveExecutedTheRun(t *testing.T) {
	with(t, bridging, func(b *bench) {
		r, once := ask("r", script("new")), ask("once", script("new"), atMostOnce)
		b.runnerOf(r)
		b.builds.hold("new")
		b.behave(func(nth int) memfunction.Behaviour {
			if nth > 2 {
				return memfunction.Behaviour{}
			}
			return memfunction.Behaviour{Fault: function.Ambiguous, Executes: true}
		})
		b.send(once)
		if d := b.want("once", run.PlatformError, 1).Data; d.Error.Type != "MayHaveExecuted" {
			t.Errorf("the result is %+v", d)
		}
		b.send(r)
		b.want("r", run.Succeeded, 2)
	})
}

func TestRunnerIsBuiltBehindTheFirstScriptOfItsEnv(t *testing.T) {
	for _, off := range []bool{false, true} {
		with(t, bridging, func(b *bench) {
			b.limits.NoRunner = off
			built := b.builds.hold("new")
			r := ask("first", script("new"))
			b.send(r)
			time.Sleep(time.Second)
			if len(b.builds.behind) > 0 {
				t.Error("the runner is built before the function")
			}
			built()
			b.want("first", run.Succeeded, 1)
			runner, _ := inmemory.Policy.Runner(decode(t, r).Script)
			if n := len(b.builds.behind); off != (n == 0) || n > 0 && b.builds.behind[0] != runner {
				t.Errorf("off %t: %d runners are built, %+v", off, n, b.builds.behind)
			}
		})
	}
}

func TestSealedScriptUsesARunnerWithItsOwnersLeaveOnly(t *testing.T) {
	for _, leave := range []bool{false, true} {
		withScripts(t, func(b *bench, _ *memregistry.Store, accepted run.Request) {
			b.limits.SealedInRunner = leave
			b.runnerOf(ask("r", script(pushed.Source))) // that of the env without requirements
			built := b.builds.hold(pushed.Source)
			b.sendReference(accepted)
			time.Sleep(time.Second)
			built()
			if d := b.want("r", run.Succeeded, 1).Data; leave != d.Function.Runner {
				t.Errorf("leave %t, and the result is %+v, of %+v", leave, d, d.Function)
			}
		})
	}
}

// counted is the value of a counter, for a value of its label.
func (b *bench) counted(name, label string) float64 {
	b.Helper()
	all, err := b.metrics.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	b.Fatalf("no %s of %q", name, label)
	return 0
}
