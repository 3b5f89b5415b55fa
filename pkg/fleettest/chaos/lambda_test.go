package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/lambda"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// exhausted is the error of a run without an answer in any attempt.
const exhausted = "AttemptsExhausted"

func lambdaFaults() []fault {
	all := []fault{
		{name: "Lambda: 20 % of calls end in 5xx, undone", ends: []string{exhausted},
			play: onLambda(lambda.Fault{Kind: lambda.ServerError, Probability: 0.2})},
		{name: "Lambda: 20 % of calls end in 5xx, done all the same", ends: []string{exhausted},
			play: onLambda(lambda.Fault{Kind: lambda.ServerError, Probability: 0.2, After: true})},
		{name: "Lambda: 20 % of connections break, the call done", ends: []string{exhausted},
			play: onLambda(lambda.Fault{Kind: lambda.CloseConn, Probability: 0.2, After: true})},
		{name: "Lambda: invocations hang", ends: []string{exhausted}, play: hangInvoke},
		{name: "Lambda: a create hangs for a minute", long: true, play: hangCreate},
	}
	for _, s := range []struct {
		length time.Duration
		long   bool
	}{{10 * time.Second, false}, {time.Minute, true}} {
		all = append(all, fault{name: fmt.Sprintf("Lambda: 429 for %s", s.length), long: s.long, play: func(t *testing.T, f *fleet) {
			throttle(t, f, s.length)
		}})
	}
	return all
}

// onLambda sets a fault from the first build until the last result.
func onLambda(x lambda.Fault) func(*testing.T, *fleet) {
	return func(t *testing.T, f *fleet) {
		t.Helper()
		remove := f.lambdaFault(x)
		f.startAll(2)
		f.send(plan{runs: 60, scripts: 2, envs: 1, delivery: run.AtMostOnce})
		f.await(0)
		remove()
	}
}

// throttle starts in the middle of runs and hits builds too.
func throttle(t *testing.T, f *fleet, length time.Duration) {
	t.Helper()
	f.startAll(2)
	f.send(plan{runs: 12, scripts: 1, envs: 1})
	f.await(4)
	remove := f.lambdaFault(lambda.Fault{Kind: lambda.Throttle})
	f.send(plan{runs: 24, scripts: 3, envs: 3})
	last(t, length)
	remove()
}

func hangInvoke(t *testing.T, f *fleet) {
	t.Helper()
	f.lambdaFault(lambda.Fault{Op: "Invoke", Kind: lambda.Hang, Times: 5})
	f.startAll(2)
	f.send(plan{runs: 24, scripts: 1, timeout: 5, delivery: run.AtMostOnce})
}

func hangCreate(t *testing.T, f *fleet) {
	t.Helper()
	f.lambdaFault(lambda.Fault{Op: "CreateFunction", Kind: lambda.Hang, Times: 1})
	f.startAll(2)
	f.send(plan{runs: 24, scripts: 1})
}
