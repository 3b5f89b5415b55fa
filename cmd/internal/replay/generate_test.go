package replay

import (
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestGeneratedRequestsAreDealtToScriptsAndTenants(t *testing.T) {
	g, err := ParseGenerate("tenants=3, scripts=7,requests=70,sleep=250ms,requirements=2,failing=1")
	if err != nil {
		t.Fatal(err)
	}
	events, err := g.Events()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := run.NewPolicy(run.PolicyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	tenants, scripts, required, failing := map[string]int{}, map[run.ScriptHash]int{}, 0, 0
	for i, e := range events {
		r, refused := policy.Decode(e.body("/replay/x", Naming{Label: "x"}.id(i), "", sent), sent)
		if refused != nil {
			t.Fatalf("request %d would be refused: %s", i, refused)
		}
		tenants[r.Tenant]++
		scripts[r.Script.Hash]++
		if r.Script.Requirements != "" {
			required++
		}
		if strings.Contains(r.Script.Source, "raise") {
			failing++
		}
		if got := string(r.Data.Input); got != `{"sleep_seconds":0.25}` {
			t.Fatalf("input is %s", got)
		}
	}
	if len(tenants) != 3 || len(scripts) != 7 || required != 20 || failing != 10 {
		t.Errorf("%v, %v, %d with requirements, %d failing", tenants, scripts, required, failing)
	}
}

func TestScriptsOfOneSetAreTheSame(t *testing.T) {
	one := generated{tenant: "t", action: "a", set: "x"}.text()
	if one != (generated{tenant: "t", action: "a", set: "x", sleep: time.Second}).text() {
		t.Error("another sleep makes another script")
	}
	if one == (generated{tenant: "t", action: "a", set: "y"}).text() {
		t.Error("another set has the same script")
	}
}

func TestParseGenerateSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   `"" is none of`,
		"tenants=x":                          "tenants=x:",
		"requests=-1":                        "less than 0",
		"tenants=0":                          "use 1 or more",
		"tenants=9,scripts=8":                "fewer than tenants",
		"scripts=8,failing=9":                "more than scripts",
		"sleep=2h":                           "use 0 to 50s",
		"sleep=3":                            "sleep=3:",
		"colour=red":                         `"colour" is none of`,
		"scripts=6,requirements=4,failing=3": "are more than scripts",
	} {
		if _, err := ParseGenerate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}
