package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// takenUpWithin is the promise for the runs of a worker that died. If other
// tests load the machine, slack is added; make chaos tests the promise itself.
const (
	takenUpWithin = 30 * time.Second
	slack         = 30 * time.Second
)

// point is a moment in a worker's work.
type point struct {
	name  string
	when  when
	match func(f *fleet, c call) bool
}

// points are the moments at which a worker is killed: after a call has taken
// effect and before the worker has its answer, or, for those named "before",
// just before the call.
var points = []point{
	{"receive", after, func(f *fleet, c call) bool {
		return c.op == "ReceiveMessage" && f.isPartition(c.target) && strings.Contains(c.answer, `"Body"`)
	}},
	{"claim", after, func(_ *fleet, c call) bool { return strings.Contains(c.op, "claim") }},
	{"lease", after, func(_ *fleet, c call) bool { return strings.Contains(c.target, ":lease:{build/script") }},
	{"layer publish", after, func(_ *fleet, c call) bool { return c.op == "PublishLayerVersion" }},
	{"function create", after, func(_ *fleet, c call) bool { return c.op == "CreateFunction" }},
	{"invoke", after, func(_ *fleet, c call) bool { return c.op == "Invoke" }},
	{"outcome written", after, func(_ *fleet, c call) bool { return strings.Contains(c.op, "finish") }},
	{"before the result is sent", before, func(f *fleet, c call) bool { return c.op == "SendMessage" && c.target == f.names.Results }},
	{"result sent", after, func(f *fleet, c call) bool { return c.op == "SendMessage" && c.target == f.names.Results }},
	{"before delete", before, func(f *fleet, c call) bool { return c.op == "DeleteMessage" && f.isPartition(c.target) }},
}

func (f *fleet) isPartition(name string) bool { return strings.Contains(name, "-partition-") }

func crashes() (all []fault) {
	for _, p := range points {
		all = append(all, fault{crashes: true, name: "worker killed (kill -9): " + p.name, play: func(t *testing.T, f *fleet) { killAt(t, f, p) }})
	}
	return all
}

// killAt kills a worker at the point, while another worker runs.
func killAt(t *testing.T, f *fleet, p point) {
	t.Helper()
	f.dispatcher()
	doomed := f.worker()
	match := func(c call) bool { return p.match(f, c) }
	h := newHold(p.when, match)
	doomed.awsTap.add(t, h)
	doomed.redisTap.add(t, h)
	f.send(plan{runs: 24, scripts: 2, envs: 1, delivery: run.AtMostOnce})
	h.await(t)
	f.worker().ready()
	doomed.Kill()
	killed := time.Now()
	h.release()
	f.await(0)
	f.orphans(t, killed, doomed)
}

// orphans measures how long a killed worker's runs were held by no live worker.
func (f *fleet) orphans(t *testing.T, killed time.Time, dead *part) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	was, next := map[string]bool{}, map[string]time.Duration{}
	for _, r := range f.receipts {
		_, taken := next[r.id]
		switch {
		case r.by == dead.Tag:
			was[r.id] = true
		case r.at.After(killed) && was[r.id] && !taken:
			next[r.id] = r.at.Sub(killed)
		}
	}
	var longest time.Duration
	for _, d := range next {
		longest = max(longest, d)
	}
	t.Logf("%d runs were taken up by another worker, the last %.1f s after the crash", len(next), longest.Seconds())
	f.note("taken up in %.0f s", longest.Seconds())
	bound := takenUpWithin
	if !*long {
		bound += slack
	}
	if longest > bound {
		t.Errorf("a run was taken up %s after the crash; the bound is %s", longest, bound)
	}
}
