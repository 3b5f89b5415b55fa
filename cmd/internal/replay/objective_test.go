package replay

import (
	"strings"
	"testing"
)

func objectives(t *testing.T, texts ...string) (all []Objective) {
	t.Helper()
	for _, text := range texts {
		o, err := ParseObjective(text)
		if err != nil {
			t.Fatal(err)
		}
		if o.String() != text {
			t.Errorf("%s is read as %s", text, o)
		}
		all = append(all, o)
	}
	return all
}

func TestAnObjectiveIsMetOrIsAFault(t *testing.T) {
	r := Report{Latency: Percentiles{Count: 9, P99: 400, Max: 900}, Stages: map[string]Percentiles{"queue": {Count: 9, P50: 5}}}
	r.Expect(objectives(t, "p99<500ms", "queue.p50<6ms"))
	if r.Err() != nil || r.OnlyMissed() {
		t.Errorf("met, and yet: %v", r.Err())
	}
	r.Expect(objectives(t, "p99<500ms", "max<900ms", "queue.p50<5ms"))
	if want := "max<900ms is not met: it was 900 ms; queue.p50<5ms is not met: it was 5.0 ms"; r.Failure != want || !r.OnlyMissed() {
		t.Errorf("the verdict is %q", r.Failure)
	}
	r.SendErrors = 1
	r.judge()
	if r.OnlyMissed() {
		t.Error("sends that failed are taken for an objective that was missed")
	}
	none := Report{}
	if none.Expect(objectives(t, "p99<500ms")); none.OK {
		t.Error("without a result, an objective is met")
	}
}

func TestAnObjectiveSaysWhatIsWrongWithIt(t *testing.T) {
	for text, want := range map[string]string{
		"p95<1s": "p99.9", "cpu.p99<1s": "build_wait", "p99": "after <", "p99<": "after <", "p99<-1s": "above 0", "p99<5": "500ms", "p99>1s": "write it as",
	} {
		if _, err := ParseObjective(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAComparisonHasRatiosAndKnowsWhatIsBetter(t *testing.T) {
	old := Report{Label: "old", ResultRate: 100, Latency: Percentiles{P50: 10, P99: 100, Max: 200}, Stages: map[string]Percentiles{}, ColdStarts: 4}
	r := Report{ResultRate: 150, Latency: Percentiles{P50: 10.1, P99: 200, Max: 100}, Stages: map[string]Percentiles{}, ColdStarts: 4, Lost: RunList{Count: 1}}
	r.Compare(&old)
	got := map[string]Change{}
	for _, c := range r.Compared.Figures {
		got[c.Figure] = c
	}
	for figure, want := range map[string]struct {
		ratio  string
		better int
	}{
		"results": {"×1.50", 1}, "latency p50": {"×1.01", 0}, "latency p99": {"×2.00", -1}, "latency max": {"×0.50", 1}, "cold starts": {"×1.00", 0}, "lost": {"new", -1}, "doubled": {"=", 0},
	} {
		if c := got[figure]; c.RatioText() != want.ratio || c.Better != want.better {
			t.Errorf("%s is %s, %d: %+v", figure, c.RatioText(), c.Better, c)
		}
	}
}

func FuzzParseObjective(f *testing.F) {
	for _, seed := range []string{"p99<500ms", "queue.p50 < 1s", "max<1h", "p99<1e9s", "latency.p99<1s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseObjective(text)
		if err != nil {
			return
		}
		if again, err := ParseObjective(o.String()); err != nil || again != o {
			t.Errorf("%q is read as %+v, and that as %+v: %v", text, o, again, err)
		}
	})
}
