package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var update = flag.Bool("update", false, "rewrite testdata")

// recorded are books of a replay in which everything happened that can.
func recorded(t *testing.T) Report {
	t.Helper()
	b := newBooks(Naming{Label: "test"}, 106)
	b.begin(sent)
	events := append(copies(t, 100), event(t, `{"tenant":"quiet","data":{"script":"x"}}`))
	events = append(events, copies(t, 5)...)
	plan := Even(events, 100)
	for i, s := range plan {
		due := sent.Add(s.At)
		b.sending(Plan{s}, due.Add(2*time.Millisecond))
		var err error
		if i == 103 {
			err = errors.New("the queue is full")
		}
		b.answered(Plan{s}, []error{err}, 3*time.Millisecond)
	}
	b.allSent()
	for i, s := range plan[:102] {
		r := result(s, i)
		b.take(r, sent.Add(s.At).Add(time.Duration(i+1)*time.Millisecond))
		switch i {
		case 7:
			b.take(r, sent)
		case 8:
			r.Data.Attempt = 3
			b.take(r, sent)
		}
	}
	stranger := result(plan[0], 0)
	stranger.ID = "unheard-of"
	b.take(stranger, sent)
	stranger.Data.Story = "/stories/theirs"
	b.take(stranger, sent)
	b.receiveFailed(errors.New("service unavailable"))
	return b.report(false)
}

// result number i took i+1 ms from when it was due.
func result(s Send, i int) run.Result {
	source, id := Naming{Label: "test"}.of(s)
	res := answerTo(run.Request{Tenant: s.Event.Tenant, Source: source, ID: id})
	res.Time = sent
	hash := run.ScriptHash("script-of-" + s.Event.Tenant)
	res.Data.Function = &run.FunctionInfo{ScriptHash: hash, ColdStart: i%50 == 0}
	res.Data.Build.Outcome = run.BuildReused
	res.Data.Timings = run.Timings{Intake: 1, Queue: int64(i) / 2, Execute: int64(i) - 1 - int64(i)/2, Total: int64(i)}
	switch {
	case i == 0, i == 1, s.Event.Tenant == "quiet":
		res.Data.Build.Outcome = run.BuildBuilt
	case i == 2:
		res.Data.Status, res.Data.Function, res.Data.Build.Outcome = run.BuildFailed, nil, run.BuildDidFail
	case i == 3:
		res.Data.Attempt = 2
	}
	return res
}

func TestReportHasTheNumbers(t *testing.T) {
	r := recorded(t)
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"sent", r.Sent, 105}, {"send errors", r.SendErrors, 1}, {"results", r.Results, 102},
		{"lost", r.Lost.Count, 3}, {"doubled", r.Doubled.Count, 1}, {"repeated", r.Repeated, 1}, {"unexpected", r.Unexpected.Count, 1},
		{"others", r.Others, 1}, {"reruns", r.Reruns.Count, 1},
		{"succeeded", r.ByStatus[run.Succeeded], 101}, {"build failed", r.ByStatus[run.BuildFailed], 1},
		{"scripts", r.Builds.Scripts, 2}, {"built", r.Builds.Built, 3},
		{"again", fmt.Sprint(r.Builds.Again), "[{script-of-acme acme 2}]"}, {"cold starts", r.ColdStarts, 3},
		{"lateness", r.Lateness.P99, 2.0}, {"calls", r.SendCalls.Max, 3.001},
		// Latencies are 1, 2, … 102 ms, to three digits.
		{"p50", r.Latency.P50, 51.007}, {"p99", r.Latency.P99, 101.055}, {"max", r.Latency.Max, 102.015}, {"mean", r.Latency.Mean, 51.5},
		{"transit", r.Stages["transit"].P50, 1.0}, {"intake", r.Stages["intake"].P50, 1.0},
		{"busiest", r.Tenants[0].Tenant, "acme"}, {"its runs", r.Tenants[0].Runs, 105}, {"its wait", r.Tenants[0].WaitMax, 51.0},
		{"quietest", r.Tenants[1].Tenant, "quiet"}, {"its latency", r.Tenants[1].LatencyP99, 101.0}, {"its builds", r.Tenants[1].Built, 1},
		{"rate", r.SendRate, 100.0 * 105 / 105.2}, {"verdict", r.OK, false},
	} {
		if got, ok := c.got.(float64); ok {
			if want := c.want.(float64); got < want*0.99 || got > want*1.01 {
				t.Errorf("%s is %v, not %v", c.name, c.got, c.want)
			}
			continue
		}
		if c.got != c.want {
			t.Errorf("%s is %v, not %v", c.name, c.got, c.want)
		}
	}
}

func TestReportKeepsItsShape(t *testing.T) {
	r := recorded(t)
	var table bytes.Buffer
	if err := r.Print(&table); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", table.Bytes())
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", append(text, '\n'))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s would be (write it with -update):\n%s", name, got)
	}
}

func TestOnlyAsManyTenantsAsFitAreShown(t *testing.T) {
	f := newFigures()
	for i := range 30 {
		f.tenant(fmt.Sprintf("tenant-%02d", i)).Runs = 30 - i
	}
	r := Report{Tenants: f.tenantReports()}
	var b bytes.Buffer
	r.printTenants(&b)
	for name, want := range map[string]bool{
		"tenant-00": true, "tenant-04": true, "tenant-05": false, "tenant-24": false, "tenant-25": true, "tenant-29": true, "… 20 more": true,
	} {
		if got := bytes.Contains(b.Bytes(), []byte(name)); got != want {
			t.Errorf("%s shown: %t", name, got)
		}
	}
}

func TestAnyOtherNumberOfBuildsThanExpectedIsAFailure(t *testing.T) {
	r := Report{Builds: BuildReport{Built: 9}}
	if r.ExpectBuilds(9); r.Err() != nil {
		t.Errorf("as expected: %v", r.Err())
	}
	if r.ExpectBuilds(8); r.Err() == nil || r.Failure != "9 builds were made, not 8" {
		t.Errorf("the verdict is %q", r.Failure)
	}
}

func TestNearestRank(t *testing.T) {
	values := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for percent, want := range map[float64]float64{0: 1, 10: 1, 50: 5, 51: 6, 99: 10, 100: 10} {
		if got := percentile(values, percent); got != want {
			t.Errorf("p%g is %g, not %g", percent, got, want)
		}
	}
	if got := percentile(nil, 50); got != 0 {
		t.Errorf("of nothing it is %g", got)
	}
}

func TestThousandsAreGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1234: "-1,234", -123: "-123", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
}
