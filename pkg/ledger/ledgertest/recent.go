package ledgertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// recentClaims test the summaries of finished runs.
var recentClaims = map[string]func(*testing.T, Env){
	"ASummaryIsKeptAsItIs":                       recentWhole,
	"TheNewestSummaryIsFirst":                    recentOrder,
	"ATenantHasSoManySummariesAndNoMore":         recentBounded,
	"SummariesOfATenantRunOutAfterItsLastRun":    recentExpires,
	"AFinishRepeatedKeepsOneSummary":             recentOnce,
	"AFinishOfALostHoldKeepsNoSummary":           recentLost,
	"RunsWithoutASummaryAreNotAmongTheRecent":    recentNone,
	"ATenantWhoseSummariesHaveRunOutComesAnewly": recentAgain,
	"TheLatestAreOfAllTenantsAndBounded":         recentLatest,
}

// end finishes a run of a tenant with a summary.
func (t tester) end(tenant, key string) ledger.Finish {
	t.Helper()
	return t.endAs(run.Succeeded, tenant, key)
}

func (t tester) endAs(status run.Status, tenant, key string) ledger.Finish {
	t.Helper()
	e := entry(key)
	e.Tenant = tenant
	a, err := t.Ledger.Claim(t.ctx, []ledger.Claim{{Entry: e, Owner: "w " + key}}, ttl)
	t.ok(err)
	f := ledger.Finish{Hold: a[0].Hold, Status: status, Summary: &ledger.Summary{Run: run.Key(key), Tenant: tenant, Status: status, At: time.UnixMilli(1)}}
	t.ends(f, nil)
	return f
}

func (t tester) ends(f ledger.Finish, want error) {
	t.Helper()
	errs, err := t.Ledger.Finish(t.ctx, []ledger.Finish{f})
	t.ok(err)
	t.is(errs[0], want, "Finish")
}

// recent checks the runs of the summaries that are kept of a tenant.
func (t tester) recent(tenant string, want ...run.Key) {
	t.Helper()
	kept, err := t.Ledger.Recent(t.ctx, tenant)
	t.ok(err)
	got := []run.Key{}
	for _, s := range kept {
		got = append(got, s.Run)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the recent runs of %s are %v, want %v", tenant, got, want)
	}
	tenants, err := t.Ledger.RecentTenants(t.ctx)
	t.ok(err)
	same(t, tenant+" is listed", slices.Contains(tenants, tenant), len(want) > 0)
}

func recentWhole(tt *testing.T, e Env) {
	t := with(tt, e)
	hold := t.granted("k", "a worker\n")
	want := ledger.SummaryOf(hold, run.Result{
		Time: time.Date(2026, 11, 29, 12, 0, 0, 123_456_789, time.UTC),
		Data: run.ResultData{
			Status: run.Failed, Error: &run.Error{Owner: run.OwnerAuthor, Type: "KeyError", Message: "secret"}, Attempt: 2,
			Output: []byte(`"secret"`), Logs: run.Logs{Stdout: "secret"},
			Function: &run.FunctionInfo{ScriptHash: "hash", Runtime: "python3.13", ColdStart: true},
			Build:    run.BuildInfo{Outcome: run.BuildWaited},
			Timings:  run.Timings{Intake: 1, Queue: 2, BuildWait: 3, Build: 4, Init: 5, Execute: 6, Publish: 7, Total: 28},
		},
	})
	t.ends(ledger.Finish{Hold: hold, Status: run.Failed, Summary: &want}, nil)
	kept, err := t.Ledger.Recent(t.ctx, "acme")
	t.ok(err)
	if len(kept) != 1 {
		t.Fatalf("%d summaries are kept", len(kept))
	}
	same(t, "its time", kept[0].At.Equal(want.At), true)
	kept[0].At = want.At
	same(t, "the summary", kept[0], want)
}

func recentOrder(tt *testing.T, e Env) {
	t := with(tt, e)
	for _, k := range []string{"1", "2", "3"} {
		t.end("acme", k)
		t.published(k)
	}
	t.end("other", "4")
	t.recent("acme", "3", "2", "1")
	t.recent("other", "4")
	t.recent("nobody")
	t.Flush()
	t.recent("acme")
}

func recentBounded(tt *testing.T, e Env) {
	t := with(tt, e)
	want := []run.Key{}
	for i := range 3 * Recent {
		k := fmt.Sprint(i)
		t.end("acme", k)
		want = append([]run.Key{run.Key(k)}, want...)
		t.recent("acme", want[:min(len(want), Recent)]...)
	}
}

func recentExpires(tt *testing.T, e Env) {
	t := with(tt, e)
	t.end("acme", "1")
	t.end("other", "2")
	t.Pass(RecentFor - time.Minute)
	t.end("acme", "3")
	t.Pass(2 * time.Minute)
	t.recent("acme", "3", "1")
	t.recent("other")
}

func recentOnce(tt *testing.T, e Env) {
	t := with(tt, e)
	f := t.end("acme", "1")
	t.ends(f, nil)
	t.recent("acme", "1")
}

func recentLost(tt *testing.T, e Env) {
	t := with(tt, e)
	f := t.end("acme", "1")
	f.Hold.Fence--
	t.ends(f, ledger.ErrLost)
	t.recent("acme", "1")
}

func recentNone(tt *testing.T, e Env) {
	t := with(tt, e)
	t.finish(t.granted("k", "a"), "event", nil)
	t.recent("acme")
}

func recentAgain(tt *testing.T, e Env) {
	t := with(tt, e)
	t.end("acme", "1")
	t.Pass(RecentFor + time.Minute)
	t.recent("acme")
	t.end("acme", "2")
	t.recent("acme", "2")
}

func recentLatest(tt *testing.T, e Env) {
	t := with(tt, e)
	var all, failed []run.Key
	for i := range Latest + 10 {
		k := run.Key(fmt.Sprint(i))
		all = append([]run.Key{k}, all...)
		status := run.Succeeded
		if i%2 == 1 {
			status, failed = run.TimedOut, append([]run.Key{k}, failed...)
		}
		t.endAs(status, "tenant\n"+string(k), string(k))
	}
	t.latest(false, 100, all[:Latest]...)
	t.latest(false, 3, all[:3]...)
	t.latest(true, 100, failed[:min(len(failed), Latest)]...)
	t.latest(true, 0)
	t.Flush()
	t.latest(false, 100)
}

// latest checks the runs of the newest summaries of all tenants.
func (t tester) latest(unsuccessful bool, limit int, want ...run.Key) {
	t.Helper()
	kept, err := t.Ledger.Latest(t.ctx, unsuccessful, limit)
	t.ok(err)
	got := []run.Key{}
	for _, s := range kept {
		got = append(got, s.Run)
		same(t, "its tenant", s.Tenant, "tenant\n"+string(s.Run))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the latest runs are %v, want %v", got, want)
	}
}
