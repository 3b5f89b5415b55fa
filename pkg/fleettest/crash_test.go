package fleettest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// takenUpWithin is the fleet's promise after a crash, 30 s, and slack for a
// loaded machine.
const takenUpWithin = 30*time.Second + 10*time.Second

// namesItself is a script whose process has a name that a process list shows.
func namesItself(name string) string {
	return fmt.Sprintf(`import ctypes, time
def main(input):
    ctypes.CDLL(None).prctl(15, b"%s", 0, 0, 0)
    time.sleep(input["seconds"])
    return "done"`, name)
}

func TestARunWhoseWorkerIsKilledGoesOnAndSaysSo(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	f.dispatcher()
	first, before := f.proxied()
	input := map[string]int{"seconds": 3}
	f.send(
		request("again", Data{Script: namesItself("sf-again"), Input: input}),
		request("never-again", Data{Script: namesItself("sf-never-again"), Input: input, Delivery: "at-most-once"}),
	)
	eventually(t, "the scripts do not begin", func() bool { return process.Named("sf-again") && process.Named("sf-never-again") })
	first.Kill()
	killed := time.Now()
	_, after := f.proxied()

	res := f.Await(t, "again")
	if res.Data.Status != run.Succeeded || string(res.Data.Output) != `"done"` || res.Data.Attempt != 2 || !res.Data.MayHaveExecuted {
		t.Errorf("the run is not done in attempt 2: %s", res.Body)
	}
	res = f.Await(t, "never-again")
	checkError(t, res, run.PlatformError, run.OwnerPlatform, "MayHaveExecuted")
	if !res.Data.MayHaveExecuted || res.Data.Attempt < 1 {
		t.Errorf("the result does not say that the script may have run: %s", res.Body)
	}
	if n := len(before.of("Invoke")); n != 2 {
		t.Errorf("the worker that was killed invoked %d times, not 2", n)
	}
	if again := after.of("Invoke"); len(again) != 1 {
		t.Errorf("the other worker invoked %d times, not once", len(again))
	} else if took := again[0].Sub(killed); took > takenUpWithin {
		t.Errorf("the run was taken up %s after the crash", took)
	} else {
		t.Logf("the run was taken up %s after the crash", took)
	}
	f.checkSame(t, 2)
}

func TestABuildWhoseWorkerIsKilledIsMadeByAnother(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	f.dispatcher()
	first, one := f.proxied()
	second, two := f.proxied()
	for _, p := range []*proxy{one, two} {
		p.hold("CreateFunction")
	}
	const n = 6
	for i := range n {
		f.send(request(fmt.Sprint("run-", i), Data{Script: "def main(input):\n    return input['i']", Input: map[string]int{"i": i}}))
	}
	builds := func() int { return len(one.of("CreateFunction")) + len(two.of("CreateFunction")) }
	eventually(t, "no build begins", func() bool { return builds() > 0 })
	leader, other := first, two
	if len(two.of("CreateFunction")) > 0 {
		leader, other = second, one
	}
	if builds() != 1 {
		t.Errorf("%d builds of one script were begun at a time", builds())
	}
	other.hold("")
	leader.Kill()
	killed := time.Now()

	built := 0
	for i := range n {
		res := f.Await(t, fmt.Sprint("run-", i))
		if res.Data.Status != run.Succeeded || string(res.Data.Output) != fmt.Sprint(i) || res.Data.Attempt != 1 {
			t.Errorf("the run is not done in attempt 1: %s", res.Body)
		}
		if res.Data.Build.Outcome == run.BuildBuilt {
			built++
		}
	}
	if creates := other.of("CreateFunction"); len(creates) != 1 || built != 1 {
		t.Errorf("the other worker made %d functions, and %d results say so, not one", len(creates), built)
	} else if took := creates[0].Sub(killed); took > takenUpWithin {
		t.Errorf("the build was taken up %s after the crash", took)
	} else {
		t.Logf("the build was taken up %s after the crash", took)
	}
	if functions := f.functions(); len(functions) != 1 {
		t.Errorf("there are the functions %q, not one", functions)
	}
	f.checkSame(t, n)
}

// proxied starts a worker with a proxy in front of Lambda.
func (f *fleet) proxied() (*process.Process, *proxy) {
	f.t.Helper()
	p := startProxy(f.t, f.set["AWS_ENDPOINT_URL"])
	return f.workerWith([]string{"AWS_ENDPOINT_URL_LAMBDA=" + p.url}), p
}

// checkSame checks that this many requests have a result, and that repeated
// results are equal.
func (f *fleet) checkSame(t *testing.T, requests int) {
	t.Helper()
	ids := f.Subjects()
	if len(ids) != requests {
		t.Errorf("%d requests have a result, not %d: %q", len(ids), requests, ids)
	}
	for _, id := range ids {
		all := f.Results(id)
		for _, other := range all[1:] {
			if !bytes.Equal(other.Body, all[0].Body) {
				t.Errorf("%s has two results:\n%s\n%s", id, all[0].Body, other.Body)
			}
		}
	}
}
