package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// settledAll tells whether every request has ended, and no run is in progress.
func (f *fleet) settledAll() bool { return f.unsettled() == "" }

// unsettled names what has not ended, or is "".
func (f *fleet) unsettled() string {
	var open []string
	f.bmu.Lock()
	for key, q := range f.byKey {
		if f.answers[key] == nil {
			open = append(open, q.String())
		}
	}
	f.bmu.Unlock()
	if len(open) > 0 {
		slices.Sort(open)
		return "no result for " + strings.Join(open, ", ")
	}
	for _, q := range append(slices.Clone(f.partitions), f.side, f.requests, f.results) {
		if d, err := q.Depth(context.Background()); err != nil || d.Total() > 0 {
			return fmt.Sprintf("%s holds %+v, %v", q.Name(), d, err)
		}
	}
	return ""
}

// checkResults compares every result with its request.
func (f *fleet) checkResults() error {
	f.bmu.Lock()
	defer f.bmu.Unlock()
	for key, q := range f.byKey {
		a := f.answers[key]
		executed := f.executions[key]
		if f.forgotSince(q.at) { // a promise about what was recorded before does not hold then
			executed = slices.DeleteFunc(slices.Clone(executed), func(i *invocation) bool { return epoch.Add(i.at).After(a.result.Time) })
		}
		if why := f.wrong(q, a.result, executed); why != "" {
			return fmt.Errorf("the result of %s is wrong: %s\nrequest %s\nresult  %s", q, why, q.body, a.body)
		}
	}
	return nil
}

// countable is the least attempt that a result must show after these executions.
// Each counts, but those before Redis last lost its data count as one together:
// the ledger takes a run that it does not know for one that was tried once.
func (f *fleet) countable(executed []*invocation) int {
	// An execution counts in the ledger a moment before it begins.
	const counting = time.Second
	before, after := 0, 0
	for _, i := range executed {
		if f.forgotSince(i.at - counting) {
			before = 1
		} else {
			after++
		}
	}
	return before + after
}

// wrong describes an error in a result, or is "".
func (f *fleet) wrong(q *request, res run.Result, executed []*invocation) string {
	if why := f.wrongStatus(q, res, len(executed)); why != "" {
		return why
	}
	switch d := res.Data; {
	case res.Tenant != q.event.Tenant || res.Subject != q.event.ID || d.Story != q.event.Source:
		return "it is another request's"
	case len(executed) > 0 && !d.MayHaveExecuted && !f.forgotten(q):
		return "it does not say that the script may have run"
	case d.Attempt < f.countable(executed) && !f.forgotten(q):
		return fmt.Sprintf("it does not tell of %d executions", len(executed))
	case d.Error == nil && d.Status != run.Succeeded:
		return "it does not say why"
	case d.Function != nil && d.Function.Runner != (d.Build.Outcome == run.BuildBridged):
		return "its build and its function disagree about an env runner"
	case !f.forgotSince(q.at) && d.Attempt > 3:
		return "the run was tried too often"
	}
	t := res.Data.Timings
	if t.Intake+t.Queue+t.BuildWait+t.Build+t.Init+t.Execute+t.Publish != t.Total {
		return "its timings don't add up"
	}
	return ""
}

func (f *fleet) wrongStatus(q *request, res run.Result, executed int) string {
	status := res.Data.Status
	if q.refused {
		return unless(status == run.Rejected, "it was to be rejected")
	}
	if q.event.Type == run.TypeCancelled {
		return f.wrongCancel(q, res)
	}
	e := f.plan.envs[q.want.Script.Requirements]
	switch status {
	case run.BuildFailed:
		if res.Data.Error.Type == builds.BuildError {
			return "a build breaks down for nobody's reason"
		}
		return unless(e != nil && (e.permanent || e.transient > 0) || !f.plan.calm, "nothing was wrong with its build")
	case run.Expired:
		return unless(q.event.Data.ExpiresAt != nil, "it does not expire")
	case run.Cancelled:
		return unless(f.cancels[q.key], "nobody cancelled it")
	case run.PlatformError:
		return unless(!f.plan.calm, "nothing befell the platform")
	}
	if q.event.Type == run.TypeSaved {
		return unless(status == run.Succeeded, "it was to be built")
	}
	var in struct {
		Run    string
		Status run.Status
	}
	_ = json.Unmarshal(q.want.Data.Input, &in)
	if why := unless(status == in.Status && executed > 0, "the script ends otherwise, or was not executed"); why != "" || status != run.Succeeded {
		return why
	}
	return unless(string(res.Data.Output) == fmt.Sprintf("%q", in.Run), "its output is another's")
}

// wrongCancel compares the answer to a cancellation with the run's end.
func (f *fleet) wrongCancel(q *request, res run.Result) string {
	var out struct {
		State     ledger.State
		Cancelled bool
	}
	if err := json.Unmarshal(res.Data.Output, &out); err != nil || res.Data.Status != run.Succeeded {
		return "it was to be carried out"
	}
	a := f.answers[q.want.CancelsKey()]
	before := out.State == "unknown" || out.State == ledger.Queued
	if a == nil || !out.Cancelled || !before || f.forgotSince(0) {
		return ""
	}
	return unless(a.result.Data.Status == run.Cancelled || a.result.Data.Status == run.Rejected,
		"the run was cancelled in state "+string(out.State)+", and ended as "+string(a.result.Data.Status))
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// checkLeftovers looks for what the fleet has left behind.
func (f *fleet) checkLeftovers() error {
	ctx := context.Background()
	if why := f.unsettled(); why != "" {
		return fmt.Errorf("something is left: %s", why)
	}
	if n := f.leases.Held(); n > 0 {
		return fmt.Errorf("%d leases are left", n)
	}
	for _, q := range f.byKey {
		for _, scope := range []string{slot.Scope("tenant", q.event.Tenant), slot.Scope("script", string(q.want.Script.Hash))} {
			if n, err := f.slots.InUse(ctx, []string{scope}); err != nil || n[0] > 0 {
				return fmt.Errorf("%d slots of %s are left (%v)", n, scope, err)
			}
		}
		if r, _ := f.ledger.Lookup(ctx, q.key); (r.State == ledger.Claimed || r.State == ledger.Invoking) && !f.forgotten(q) {
			return fmt.Errorf("%s is left %s by %s", q, r.State, r.Owner)
		}
	}
	if d, _ := f.requestsDead.Depth(ctx); d.Total() < f.buried || f.buried == 0 && d.Total() > 0 {
		return fmt.Errorf("%d requests are dead letters, and %d ought to be", d.Total(), f.buried)
	}
	if d, _ := f.partitionDead.Depth(ctx); d.Total() > 0 {
		return fmt.Errorf("%d runs are dead letters", d.Total())
	}
	return f.checkBalance()
}

// checkBalance compares the ledger's books with the simulation's.
func (f *fleet) checkBalance() error {
	b, err := f.ledger.Books(context.Background())
	if err != nil {
		return err
	}
	var finished int64
	for _, n := range b.Finished {
		finished += n
	}
	forgotten := len(f.flushes) > 0 && (f.plan.has(eventStop) || f.plan.has(eventStopSoon))
	if b.Accepted != finished+b.Open || b.Open != 0 && !forgotten {
		return fmt.Errorf("%w: %+v", errUnbalanced, b)
	}
	return nil
}
