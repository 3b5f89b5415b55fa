package run

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func decoded(t testing.TB, c PolicyConfig, body string) Run {
	t.Helper()
	r, bad := testPolicy(t, c).Decode([]byte(body), november)
	if bad != nil {
		t.Fatalf("%s: %v", body, bad)
	}
	return r
}

func TestKeyIsOfTenantSourceAndIDAlone(t *testing.T) {
	base := KeyOf("acme", "/s", "1")
	if !regexp.MustCompile(`^[a-z2-7]{26}$`).MatchString(string(base)) {
		t.Fatalf("key is %q", base)
	}
	for _, k := range []Key{KeyOf("acm", "e/s", "1"), KeyOf("acme", "/s1", ""), KeyOf("acme", "/s", "2"), KeyOf("beta", "/s", "1")} {
		if k == base {
			t.Error("two identities have one key")
		}
	}
	if a, b := decoded(t, PolicyConfig{}, event("data.script", `"x"`)), decoded(t, PolicyConfig{}, event("data.script", `"y"`)); a.Key != b.Key {
		t.Error("the key depends on the script")
	}
}

// The hashes are part of the names of existing functions. A change of them
// builds every script again, so it must be made on purpose, with a change of
// this test.
func TestHashesStayWhatTheyAre(t *testing.T) {
	r := decoded(t, PolicyConfig{Handler: "h"}, event("data.requirements", `"requests==2.32.3"`))
	got := [3]string{string(r.Key), string(r.Script.EnvHash), string(r.Script.Hash)}
	want := [3]string{"swjex2tcjn6glw2aseygkgvhua", "vkdqbivdvrlhweri3miuv3ubjz", "astrzse7kwe6dopi3dandoodmc"}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScriptHashChangesWithWhatMakesAnotherFunction(t *testing.T) {
	base := decoded(t, PolicyConfig{}, event("id", `"1"`)).Script.Hash
	seen := map[ScriptHash]string{base: "base"}
	for name, r := range map[string]Run{
		"tenant":          decoded(t, PolicyConfig{}, event("tenant", `"beta"`)),
		"script":          decoded(t, PolicyConfig{}, event("data.script", `"def main(input): pass "`)),
		"requirements":    decoded(t, PolicyConfig{}, event("data.requirements", `"requests"`)),
		"runtime":         decoded(t, PolicyConfig{}, event("data.runtime", `"python3.12"`)),
		"shell":           decoded(t, PolicyConfig{}, event("data.runtime", `"aws-cli"`)),
		"timeout":         decoded(t, PolicyConfig{}, event("data.timeout_seconds", `11`)),
		"memory":          decoded(t, PolicyConfig{MemoryMB: 512}, event("id", `"1"`)),
		"tenant's memory": decoded(t, PolicyConfig{TenantMemoryMB: func(string) int { return 1024 }}, event("id", `"1"`)),
		"handler":         decoded(t, PolicyConfig{Handler: "2"}, event("id", `"1"`)),
		"custom runtime":  decoded(t, PolicyConfig{Runtimes: customRuntime(t, "1")}, event("data.runtime", `"own"`)),
		"its interpreter": decoded(t, PolicyConfig{Runtimes: customRuntime(t, "2")}, event("data.runtime", `"own"`)),
		"architecture":    decoded(t, PolicyConfig{Arch: "arm64"}, event("id", `"1"`)),
	} {
		if other, ok := seen[r.Script.Hash]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[r.Script.Hash] = name
	}
	for name, body := range map[string]string{
		"id": event("id", `"2"`), "source": event("source", `"/other"`), "input": event("data.input", `{"a":1}`), "credential": event("data.credential", `"aws"`),
		"comments": event("data.requirements", `"# none"`), "default runtime": event("data.runtime", `"python3.13"`), "default timeout": event("data.timeout_seconds", `10`),
	} {
		if h := decoded(t, PolicyConfig{}, body).Script.Hash; h != base {
			t.Errorf("%s makes another function", name)
		}
	}
}

func TestAnEnvRunnerIsOneForTheScriptsOfATenantAndEnv(t *testing.T) {
	base := decoded(t, PolicyConfig{}, event("data.requirements", `"requests"`)).Script
	runner, ok := RunnerOf(base, 60)
	if !ok || !runner.Runner || runner.Source != "" || runner.TimeoutSeconds != 75 || runner.Hash == base.Hash {
		t.Fatalf("%t %+v", ok, runner)
	}
	if runner.EnvHash != base.EnvHash || runner.RuntimeHash != base.RuntimeHash || runner.MemoryMB != base.MemoryMB || runner.Tenant != base.Tenant || runner.Requirements != base.Requirements {
		t.Errorf("it is of another env: %+v", runner)
	}
	for name, change := range map[string]func(*Script){
		"source": func(s *Script) { s.Source = "y" }, "timeout": func(s *Script) { s.TimeoutSeconds = 3 }, "sealed": func(s *Script) { s.Sealed = true },
	} {
		s := base
		change(&s)
		if other, ok := RunnerOf(s, 60); !ok || other != runner {
			t.Errorf("another %s has another runner", name)
		}
	}
	for name, change := range map[string]func(*Script){
		"tenant": func(s *Script) { s.Tenant = "beta" }, "env": func(s *Script) { s.EnvHash = "x" }, "memory": func(s *Script) { s.MemoryMB++ },
		"handler": func(s *Script) { s.Handler = "2" }, "architecture": func(s *Script) { s.Arch = "arm64" }, "interpreter": func(s *Script) { s.RuntimeHash = "x" },
	} {
		s := base
		change(&s)
		if other, _ := RunnerOf(s, 60); other.Hash == runner.Hash {
			t.Errorf("another %s has the same runner", name)
		}
	}
	if long, _ := RunnerOf(base, 900); long.TimeoutSeconds != 900 {
		t.Errorf("its timeout is %d s, and Lambda takes 900", long.TimeoutSeconds)
	}
	empty := base
	if empty.Source = ""; HashOf(empty) == runner.Hash {
		t.Error("a script without a source has the hash of the runner")
	}
	if _, ok := RunnerOf(decoded(t, PolicyConfig{}, event("data.runtime", `"aws-cli"`)).Script, 60); ok {
		t.Error("shell commands have a runner")
	}
	if _, ok := RunnerOf(runner, 60); ok {
		t.Error("a runner has a runner")
	}
}

// customRuntime is the catalog with the runtime own of acme, whose ZIP has a
// digest of this digit.
func customRuntime(t testing.TB, digit string) Catalog {
	t.Helper()
	c, err := Runtimes().Extended([]byte(`{"runtimes":[{"name":"own","lambda":"provided.al2023","python":"3.13","platform":"manylinux_2_34","tenants":["acme"],"zip":"` + strings.Repeat(digit, 64) + `"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnInterpreterIsPartOfAllThatIsBuiltOnIt(t *testing.T) {
	of := func(digit, arch string) Script {
		return decoded(t, PolicyConfig{Runtimes: customRuntime(t, digit), Arch: arch}, `{"tenant":"acme","source":"/s","id":"1","data":{"script":"x","runtime":"own","requirements":"requests"}}`).Script
	}
	one, another, arm := of("1", ""), of("2", ""), of("1", "arm64")
	if one.RuntimeHash == "" || one.RuntimeHash == another.RuntimeHash || one.RuntimeHash == arm.RuntimeHash || one.EnvHash == another.EnvHash {
		t.Errorf("two interpreters share what is built: %+v, %+v, %+v", one, another, arm)
	}
	if i := one.Interpreter(); i.EnvHash != one.RuntimeHash || i.Requirements != "" || i.Tenant != "" || i.Runtime.Zip != one.Runtime.Zip {
		t.Errorf("its layer is built from %+v", i)
	}
	if own := decoded(t, PolicyConfig{}, event("data.requirements", `"requests"`)).Script; own.RuntimeHash != "" {
		t.Errorf("a runtime of Lambda's has the layer %s", own.RuntimeHash)
	}
}

func TestEnvHashIsSharedByTenantsUnlessTheIndexIsPrivate(t *testing.T) {
	env := func(c PolicyConfig, tenant string) EnvHash {
		body := `{"tenant":"` + tenant + `","source":"/s","id":"1","data":{"script":"x","requirements":"requests"}}`
		return decoded(t, c, body).Script.EnvHash
	}
	private := PolicyConfig{PrivateIndex: func(string) string { return "theirs" }}
	one := PolicyConfig{PrivateIndex: func(tenant string) string {
		if tenant == "acme" {
			return "theirs"
		}
		return ""
	}}
	public := env(PolicyConfig{}, "acme")
	if public != env(PolicyConfig{}, "beta") || public != env(one, "beta") {
		t.Error("a layer of public packages is not shared")
	}
	if a, b := env(private, "acme"), env(private, "beta"); a == b || a == public || b == public {
		t.Error("a layer of a private index is shared")
	}
	if public == env(PolicyConfig{Index: "mirror"}, "acme") || public == env(PolicyConfig{Arch: "arm64"}, "acme") || public == env(PolicyConfig{DefaultRuntime: "python3.12"}, "acme") {
		t.Error("index, architecture and runtime have no part in the env")
	}
}

func TestNamesFitLambdaAndKeepTenantsApart(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,17}[a-z0-9])?`).Draw(t, "prefix")
		tenant := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`).Draw(t, "tenant")
		other := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`).Draw(t, "other")
		if err := CheckPrefix(prefix); err != nil {
			t.Fatal(err)
		}
		h := ScriptHash(digest("test", tenant))
		name, mine := FunctionName(prefix, tenant, h), TenantPrefix(prefix, tenant)
		if !valid.MatchString(name) || !valid.MatchString(LayerName(prefix, EnvHash(h))) {
			t.Fatalf("%q and %q are no names", name, LayerName(prefix, EnvHash(h)))
		}
		if name[:len(mine)] != mine || len(mine) != len(prefix)+18 || mine[len(mine)-1] != '-' {
			t.Fatalf("%q does not begin with %q", name, mine)
		}
		if tenant != other && name[:len(mine)] == TenantPrefix(prefix, other) {
			t.Fatalf("%s reaches the functions of %s", other, tenant)
		}
	})
	for _, prefix := range []string{"", "-a", "a-", "A", "a_b", "abcdefghijklmnopqrst", "a\n"} {
		if CheckPrefix(prefix) == nil {
			t.Errorf("prefix %q was taken", prefix)
		}
	}
}
