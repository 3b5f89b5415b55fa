package run

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRetiredRuntimeIsRefusedFromTheDayOnWhichLambdaDeprecatesIt(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	body := []byte(event("data.runtime", `"python3.10"`))
	last := time.Date(2026, 10, 30, 23, 59, 59, 0, time.UTC)
	if _, bad := p.Decode(body, last); bad != nil {
		t.Errorf("the day before: %v", bad)
	}
	_, bad := p.Decode(body, last.Add(time.Second))
	if bad == nil || bad.Type != RetiredRuntime {
		t.Fatalf("on the day: %v", bad)
	}
	if want := "data.runtime is python3.10, which Lambda retired on 2026-10-31: use one of python3.11, python3.12, python3.13, python3.14, aws-cli."; bad.Message != want {
		t.Errorf("message is %q, want %q", bad.Message, want)
	}
}

func TestRetiredRuntimeIsTakenWhereTheOperatorAllowsIt(t *testing.T) {
	p := testPolicy(t, PolicyConfig{AllowRetired: true})
	r, bad := p.Decode([]byte(event("data.runtime", `"python3.9"`)), november)
	if bad != nil || r.Script.Runtime.Lambda != "python3.9" || r.Script.Runtime.Platform != "manylinux_2_17" {
		t.Errorf("%v, %+v", bad, r.Script.Runtime)
	}
	want := "The runtime python3.9 is deprecated: it has had no security fixes since 2025-12-15, and Lambda will make no new functions with it. Set data.runtime to one of python3.11, python3.12, python3.13, python3.14, aws-cli."
	if res := r.Result(Succeeded, november); res.Data.Warning != want {
		t.Errorf("the result warns %q, want %q", res.Data.Warning, want)
	}
	if r := decoded(t, PolicyConfig{AllowRetired: true}, event("data.runtime", `"python3.13"`)); r.Warning != "" {
		t.Errorf("python3.13: %s", r.Warning)
	}
	_, bad = p.Decode([]byte(event("data.runtime", `"perl"`)), november)
	if bad == nil || !strings.Contains(bad.Message, "python3.8, python3.9, python3.10, python3.11") {
		t.Errorf("does not offer the retired ones: %v", bad)
	}
}

func TestAWSCLIIsAPinnedRequirementOnAPython(t *testing.T) {
	for base, want := range map[string]string{"": "python3.13", "python3.11": "python3.11"} {
		p := testPolicy(t, PolicyConfig{ShellBase: base})
		r, bad := p.Decode([]byte(event("data.runtime", `"aws-cli"`)), november)
		if bad != nil {
			t.Fatal(bad)
		}
		rt := r.Script.Runtime
		if rt.Name != "aws-cli" || !rt.Shell || rt.Lambda != want || rt.Python != strings.TrimPrefix(want, "python") || rt.Platform == "" {
			t.Errorf("runtime %+v, want it on %s", rt, want)
		}
		if !strings.Contains(r.Script.Requirements, "awscli==1.") || r.Script.EnvHash == "" {
			t.Errorf("requirements %q, env %q", r.Script.Requirements, r.Script.EnvHash)
		}
	}
	body := `{"tenant":"acme","source":"/s","id":"1","data":{"script":"aws sts get-caller-identity","runtime":"aws-cli","requirements":"requests"}}`
	if _, bad := testPolicy(t, PolicyConfig{}).Decode([]byte(body), november); bad == nil || bad.Type != InvalidRequirement {
		t.Errorf("with requirements: %v", bad)
	}
}

func TestAWSCLIRetiresWithItsPython(t *testing.T) {
	p := testPolicy(t, PolicyConfig{ShellBase: "python3.10"})
	if _, bad := p.Decode([]byte(event("data.runtime", `"aws-cli"`)), november); bad == nil || bad.Type != RetiredRuntime {
		t.Errorf("got %v", bad)
	}
}

func TestOperatorRaisesTheMaximumTimeout(t *testing.T) {
	p := testPolicy(t, PolicyConfig{MaxTimeoutSeconds: 900})
	r, bad := p.Decode([]byte(event("data.timeout_seconds", `900.0`)), november)
	if bad != nil || r.Script.TimeoutSeconds != 900 {
		t.Errorf("%v, %d", bad, r.Script.TimeoutSeconds)
	}
	if _, bad = p.Decode([]byte(event("data.timeout_seconds", `901`)), november); bad == nil || !strings.Contains(bad.Message, "1 to 900") {
		t.Errorf("got %v", bad)
	}
}

func TestATenantsMemoryGoesBeforeTheFleets(t *testing.T) {
	c := PolicyConfig{MemoryMB: 512, TenantMemoryMB: func(tenant string) int {
		return map[string]int{"acme": 1024}[tenant]
	}}
	for tenant, want := range map[string]int{"acme": 1024, "globex": 512} {
		if got := decoded(t, c, event("tenant", `"`+tenant+`"`)).Script.MemoryMB; got != want {
			t.Errorf("%s has %d MB, want %d", tenant, got, want)
		}
	}
}

func TestPolicyThatNoRequestCouldSatisfyIsRefused(t *testing.T) {
	for name, c := range map[string]PolicyConfig{
		"timeout":         {MaxTimeoutSeconds: 901},
		"negative":        {MaxTimeoutSeconds: -1},
		"default timeout": {DefaultTimeoutSeconds: 61},
		"memory":          {MemoryMB: 64},
		"architecture":    {Arch: "mips"},
		"runtime":         {DefaultRuntime: "python2.7"},
		"shell default":   {DefaultRuntime: "aws-cli"},
		"shell base":      {ShellBase: "aws-cli"},
		"no runtimes":     {Runtimes: Catalog{}},
	} {
		if _, err := NewPolicy(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if p := testPolicy(t, PolicyConfig{MaxTimeoutSeconds: 5}); p.c.DefaultTimeoutSeconds != 5 {
		t.Errorf("default timeout is %d", p.c.DefaultTimeoutSeconds)
	}
}

func TestCatalogOffersWhatLambdaDoes(t *testing.T) {
	want := []string{"python3.11", "python3.12", "python3.13", "python3.14", "aws-cli"}
	if got := Runtimes().Names(november, false); !slices.Equal(got, want) {
		t.Errorf("offered in November 2026: %v, want %v", got, want)
	}
}

func TestCatalogFileThatMakesNoSenseIsRefused(t *testing.T) {
	for _, file := range []string{
		`{`, `{"runtime":[]}`, `{"runtimes":[{"name":""}]}`, `{"runtimes":[{"name":"python3.13"}]}`, `{"runtimes":[{"name":"sh","base":"python3.13"}]}`,
		`{"runtimes":[{"name":"a","lambda":"a","python":"3.1","platform":"p","deprecated":"soon"}]}`,
		`{"runtimes":[{"name":"a","lambda":"a","python":"3.1","platform":"p"},{"name":"a","lambda":"a","python":"3.1","platform":"p"}]}`,
		`{"runtimes":[{"name":"a","lambda":"a","python":"3.1","platform":"p","requirements":["-e ."]}]}`,
		`{"runtimes":[{"name":"a","lambda":"provided.al2023","python":"3.13","platform":"p"}]}`,
		`{"runtimes":[{"name":"a","lambda":"provided.al2023","python":"3.13","platform":"p","zip":"x"}]}`,
		`{"runtimes":[{"name":"a","lambda":"python3.13","python":"3.13","platform":"p","zip":"` + strings.Repeat("a", 64) + `"}]}`,
		`{"runtimes":[{"name":"a","lambda":"python3.13","python":"3.13","platform":"p","tenants":["no tenant"]}]}`,
		`{"runtimes":[{"name":"a","lambda":"python3.13","python":"3.12","platform":"p"}]}`,
	} {
		if _, err := ParseCatalog([]byte(file)); err == nil {
			t.Errorf("%s was taken", file)
		}
	}
}

func TestARuntimeOfATenantIsOfferedToItAlone(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	body := []byte(event("data.runtime", `"own"`)) // of acme
	if _, bad := p.Decode(body, november); bad == nil || bad.Type != UnknownRuntime {
		t.Errorf("before it is offered: %v", bad)
	}
	if err := p.Offer(customRuntime(t, "1")); err != nil {
		t.Fatal(err)
	}
	if r, bad := p.Decode(body, november); bad != nil || r.Script.Runtime.Lambda != Custom {
		t.Errorf("%v, %+v", bad, r.Script.Runtime)
	}
	_, bad := p.Decode([]byte(strings.Replace(string(body), `"acme"`, `"beta"`, 1)), november)
	if bad == nil || bad.Type != UnknownRuntime || strings.Contains(strings.TrimPrefix(bad.Message, "data.runtime is \"own\""), "own") {
		t.Errorf("another tenant: %v", bad)
	}
	if err := p.Offer(Catalog{}); err == nil {
		t.Error("a catalog without the default runtime is offered")
	}
	if _, bad := p.Decode(body, november); bad != nil {
		t.Errorf("after a faulty catalog: %v", bad)
	}
}
