package chaos

import (
	"testing"
	"time"
)

func processFaults() []fault {
	return []fault{
		{name: "rolling SIGTERM of three workers under load", play: rollWorkers},
		{name: "two dispatchers, one cut off", play: cutDispatcher, crashes: true},
		{name: "dispatcher killed (kill -9): run sent, request not deleted", play: killDispatcher},
		{name: "no fault: 300 runs of one new script on 4 workers", play: manyRuns(300)},
		{name: "no fault: 10,000 runs of one new script on 4 workers", long: true, play: manyRuns(10_000)},
	}
}

// rollWorkers replaces the workers one by one while all execute runs.
func rollWorkers(t *testing.T, f *fleet) {
	t.Helper()
	old := f.startAll(3)
	const rounds = 60
	f.send(plan{runs: rounds, scripts: 2, takes: 0.5})
	f.await(5)
	for i, w := range old {
		f.worker().ready()
		before := f.count()
		w.Terminate()
		t.Logf("worker %d stopped with %d results out, %d before", i, f.count(), before)
		if i < len(old)-1 {
			f.send(plan{runs: rounds / 2, scripts: 2, takes: 0.5})
		}
	}
	f.await(0)
	for n, times := range f.invoked {
		if times > 1 {
			t.Errorf("run %d was invoked %d times: a drain lets what executes finish", n, times)
		}
	}
}

// cutDispatcher cuts all lines of one of two dispatchers; it must still stop
// without an error.
func cutDispatcher(t *testing.T, f *fleet) {
	t.Helper()
	cut := f.dispatcher()
	f.startAll(2)
	for _, p := range f.parts {
		p.ready()
	}
	p := plan{runs: 30, scripts: 2}
	f.send(p)
	f.await(5)
	f.send(p)
	cut.aws.cut()
	cut.redis.cut()
	f.send(p)
}

func killDispatcher(t *testing.T, f *fleet) {
	t.Helper()
	doomed := f.dispatcher()
	h := doomed.awsTap.add(t, newHold(before, func(c call) bool { return c.op == "DeleteMessage" }))
	f.worker()
	f.send(plan{runs: 24, scripts: 2})
	h.await(t)
	doomed.Kill()
	h.release()
	f.dispatcher()
}

func manyRuns(n int) func(*testing.T, *fleet) {
	return func(t *testing.T, f *fleet) {
		t.Helper()
		f.startAll(4)
		begin := time.Now()
		f.send(plan{runs: n, scripts: 1})
		f.await(0)
		took := time.Since(begin)
		f.note("%.0f runs a second", float64(n)/took.Seconds())
	}
}
