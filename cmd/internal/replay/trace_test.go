package replay

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const invocations = `HashOwner,HashApp,HashFunction,Trigger,480,481,482
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef,app,f1,http,100,0,10
Other Owner,app,f2,queue,0,1000,0
`

const durations = `HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,percentile_Average_1,percentile_Average_25,percentile_Average_50,percentile_Average_75,percentile_Average_99,percentile_Average_100
Other Owner,app,f2,3,1,0,0,0,1,20,30,40,50,99999
`

func trace(t *testing.T) *Trace {
	t.Helper()
	tr, err := ReadTrace(strings.NewReader(invocations))
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.ReadDurations(strings.NewReader(durations)); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestTraceKeepsEachMinutesCounts(t *testing.T) {
	plan, err := trace(t).Plan(TraceOptions{Scale: 1, Speed: 1, MaxSleep: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][3]int{}
	for i, s := range plan {
		n := got[s.Event.Tenant]
		n[s.At/time.Minute]++
		got[s.Event.Tenant] = n
		if s.Seq != i {
			t.Fatalf("request %d is number %d: ids would repeat themselves", i, s.Seq)
		}
	}
	if len(got) != 2 || got["owner-"+short("Other Owner")] != [3]int{0, 1000, 0} {
		t.Errorf("counts are %v", got)
	}
	if !slices.IsSortedFunc(plan, func(a, b Send) int { return int(a.At - b.At) }) {
		t.Error("the plan is not in order")
	}
}

func TestTraceSleepsAsItsFunctionsDid(t *testing.T) {
	plan, err := trace(t).Plan(TraceOptions{From: 481, To: 482, Scale: 2, Speed: 1, MaxSleep: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := run.NewPolicy(run.PolicyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	inputs, scripts := map[string]int{}, map[run.ScriptHash]bool{}
	for _, s := range plan {
		r, refused := policy.Decode(s.Event.body("/s", "x", "", sent), sent)
		if refused != nil {
			t.Fatal(refused)
		}
		inputs[string(r.Data.Input)]++
		scripts[r.Script.Hash] = true
	}
	for input, share := range map[string]float64{
		`{"sleep_seconds":0.001}`: 0.01, `{"sleep_seconds":0.02}`: 0.24, `{"sleep_seconds":0.03}`: 0.25,
		`{"sleep_seconds":0.04}`: 0.25, `{"sleep_seconds":0.05}`: 0.24, `{"sleep_seconds":2}`: 0.01,
	} {
		if got := float64(inputs[input]) / float64(len(plan)); got < share-0.03 || got > share+0.03 {
			t.Errorf("%s: %.3f of the runs, not %.2f", input, got, share)
		}
	}
	if len(inputs) != 6 || len(scripts) != 1 || len(plan) != 2_000 {
		t.Errorf("%d requests, %d inputs, %d scripts", len(plan), len(inputs), len(scripts))
	}
}

func TestTraceIsScaledSpedUpAndHerded(t *testing.T) {
	o := TraceOptions{Scale: 0.5, Speed: 4, Herd: true, Seed: 3, MaxSleep: time.Second}
	plan, err := trace(t).Plan(o)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(plan); n < 550 || n > 560 {
		t.Errorf("%d requests, not half of 1,110", n)
	}
	for _, s := range plan {
		if into := (s.At * 4) % time.Minute; into > time.Second+time.Millisecond {
			t.Fatalf("due %s into its minute", into)
		}
	}
	again, _ := trace(t).Plan(o)
	if !slices.Equal(times(plan), times(again)) {
		t.Error("the same seed gives another plan")
	}
}

func TestTraceSaysWhatIsWrongWithIt(t *testing.T) {
	for text, want := range map[string]string{
		"":      "read the header",
		"a,b\n": "the header is not",
		"HashOwner,HashApp,HashFunction,Trigger,x\n":               `column "x" is no minute`,
		"HashOwner,HashApp,HashFunction,Trigger,1\no,a,f,t,many\n": `line 2: minute 1: "many" is no count`,
		"HashOwner,HashApp,HashFunction,Trigger,1\no,a\n":          "wrong number of fields",
	} {
		if _, err := ReadTrace(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
	tr := trace(t)
	for name, o := range map[string]TraceOptions{
		"no scale": {Speed: 1}, "other minutes": {From: 1, To: 2, Scale: 1, Speed: 1}, "no minute": {From: 480, To: 480, Scale: 1, Speed: 1},
		"nothing in them": {From: 481, To: 482, Scale: 1e-9, Speed: 1},
	} {
		if _, err := tr.Plan(o); err == nil {
			t.Errorf("%s: there is a plan", name)
		}
	}
	for _, s := range []string{"", "1", "5:5", "6:5", "1:2:3", "a:b"} {
		if _, _, err := ParseMinutes(s); err == nil {
			t.Errorf("minutes %q are a range", s)
		}
	}
}

func TestSoManyOwnersOfATraceAreDrawnByTheSeed(t *testing.T) {
	owners := func(seed uint64) string {
		plan, err := trace(t).Plan(TraceOptions{Scale: 1, Speed: 1, Owners: 1, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range plan {
			if s.Event.Tenant != plan[0].Event.Tenant {
				t.Fatalf("%s and %s are two owners", s.Event.Tenant, plan[0].Event.Tenant)
			}
		}
		return plan[0].Event.Tenant
	}
	drawn := map[string]bool{}
	for seed := range uint64(20) {
		first, second := owners(seed), owners(seed)
		if drawn[first] = true; first != second {
			t.Errorf("seed %d draws others each time", seed)
		}
	}
	if len(drawn) != 2 {
		t.Errorf("20 seeds drew only %v", drawn)
	}
	if _, err := trace(t).Plan(TraceOptions{Scale: 1, Speed: 1, Owners: 3}); err == nil || !strings.Contains(err.Error(), "the trace's 2") {
		t.Errorf("more than there are: %v", err)
	}
}
