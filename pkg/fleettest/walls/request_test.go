package walls

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

const hello = "def main(input):\n    return input.get('n')\n"

// A request whose tenant cannot be read is buried, and no tenant gets a result.
func TestATenantIsNotNamedInAnOddWay(t *testing.T) {
	names := []string{`"ACME"`, `"acme "`, `" acme"`, `"acme\u0000"`, `"acme/../acme"`, `"\uff41cme"`, `"acme\u200b"`, `"-acme"`, `"acme:x"`, `"*"`, `""`, `null`, `["acme"]`, `{"acme":1}`,
		`"` + strings.Repeat("a", 64) + `"`}
	for n, name := range names {
		id := fmt.Sprintf("%s-%d", t.Name(), n)
		body := strings.Replace(fleettest.Request("TENANT", id, fleettest.Data{Script: hello}), `"TENANT"`, name, 1)
		fleet.Send(t, body)
		if kind := fleet.Buried(t, id); kind == "" {
			t.Errorf("%s: buried without a reason", name)
		}
		if came := fleet.ResultsOf(tenantB, id); len(came) > 0 {
			t.Errorf("%s: b got %s", name, came[0].Body)
		}
	}
}

// Of two tenants neither counts, also if the second field is spelt differently.
func TestATenantIsNotNamedTwice(t *testing.T) {
	for n, second := range []string{`"tenant":"acme"`, `"ten\u0061nt":"acme"`, `"tenant":"ac"`} {
		for m, first := range []bool{true, false} {
			id := fmt.Sprintf("%s-%d-%d", t.Name(), n, m)
			body := fleettest.Request(tenantA, id, fleettest.Data{Script: hello})
			if first {
				body = "{" + second + "," + body[1:]
			} else {
				body = body[:len(body)-1] + "," + second + "}"
			}
			fleet.Send(t, body)
			fleet.Buried(t, id)
			if len(fleet.ResultsOf(tenantB, id))+len(fleet.ResultsOf(tenantA, id)) > 0 {
				t.Errorf("%s was answered", body)
			}
		}
	}
	// A field in other case is another, unknown field.
	id := t.Name() + "-case"
	body := fleettest.Request(tenantA, id, fleettest.Data{Script: hello})
	fleet.Send(t, body[:len(body)-1]+`,"Tenant":"acme"}`)
	if res := fleet.AwaitOf(t, tenantA, id); res.Data.Status != run.Rejected {
		t.Errorf("with Tenant: %s", res.Body)
	}
}

// An unknown field of a request is refused, not ignored: no request can choose
// a role, a function or an env.
func TestARequestNamesNoFieldOfThePlatforms(t *testing.T) {
	for n, field := range []string{"role_arn", "external_id", "function", "env_hash", "script_hash", "tenant", "memory_mb", "index", "credentials", "Script"} {
		id := fmt.Sprintf("%s-%d", t.Name(), n)
		body := fleettest.Request(tenantA, id, fleettest.Data{Script: hello})
		fleet.Send(t, strings.Replace(body, `"data":{`, `"data":{"`+field+`":"x",`, 1))
		if res := fleet.AwaitOf(t, tenantA, id); res.Data.Status != run.Rejected || !strings.Contains(res.Data.Error.Message, field) {
			t.Errorf("%s: %s", field, res.Body)
		}
	}
}

// A run's identity is a digest of its parts with their lengths.
func TestNoTwoRequestsHaveOneIdentityByTheirSpelling(t *testing.T) {
	parts := [][3]string{
		{"ac", "me/x", "1"}, {"acme", "/x", "1"}, {"acm", "e/x", "1"}, {"ac", "me", "/x1"}, {"ac", "", "me/x1"}, {"", "acme/x", "1"},
		{"ac", "me\x00/x", "1"}, {"ac\x00me", "/x", "1"}, {"ac", "me/x\x001", ""}, {"acme", "/x1", ""}, {"ac:me", "x", "1"}, {"ac", "me:x", "1"},
	}
	keys := map[run.Key][3]string{}
	for _, p := range parts {
		key := run.KeyOf(p[0], p[1], p[2])
		if other, twice := keys[key]; twice {
			t.Errorf("%q and %q are one", p, other)
		}
		keys[key] = p
	}
	scopes := map[string][]string{}
	for _, p := range [][]string{{"tenant", "a:b"}, {"tenant", "a", "b"}, {"tenant:a", "b"}, {"tenant%3Aa", "b"}, {"tenant", "a%3Ab"}, {"tenant:a:b"}, {"script", "x"}, {"tenant", "script:x"}} {
		scope := slot.Scope(p...)
		if other, twice := scopes[scope]; twice {
			t.Errorf("%q and %q are one", p, other)
		}
		scopes[scope] = p
	}
	// And in the fleet: the same source and id, and others that are equal when
	// concatenated.
	for _, r := range []struct{ tenant, source, id string }{
		{tenantA, "/x", "collide-1"}, {tenantB, "/x", "collide-1"}, {tenantA, "/xc", "ollide-1"}, {tenantB, "/xc", "ollide-1"},
	} {
		fleet.Send(t, fleettest.RequestFrom(r.source, r.tenant, r.id, fleettest.Data{Script: hello, Input: map[string]any{"n": r.tenant + r.source}}))
	}
	for _, r := range []struct{ tenant, source, id string }{{tenantA, "/x", "collide-1"}, {tenantB, "/x", "collide-1"}, {tenantA, "/xc", "ollide-1"}, {tenantB, "/xc", "ollide-1"}} {
		res := fleet.AwaitOf(t, r.tenant, r.id)
		if string(res.Data.Output) != asJSON(r.tenant+r.source) || res.Data.Story != r.source {
			t.Errorf("%v got %s", r, res.Body)
		}
	}
}

// No key of Redis contains a tenant's text itself, so no tenant can make a key
// that equals another tenant's or the fleet's own.
func TestNoKeyOfRedisHoldsWhatATenantChose(t *testing.T) {
	mark := "scriptfleet:lease:{x}*\n"
	id := strings.TrimSpace(mark) + "redis"
	fleet.Send(t, fleettest.RequestFrom("/"+strings.TrimSpace(mark), tenantA, id, fleettest.Data{Script: hello + "# " + mark, Action: "scriptfleet:run:x", Credential: "scriptfleet:x"}))
	if res := fleet.AwaitOf(t, tenantA, id); res.Data.Status != run.Succeeded {
		t.Fatalf("%s", res.Body)
	}
	options, err := redis.ParseURL(fleet.set["REDIS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d keys: %v", len(keys), err)
	}
	for _, key := range keys {
		if strings.Contains(key, "{x}") || strings.Contains(key, "*") || !strings.HasPrefix(key, "scriptfleet") {
			t.Errorf("Redis has the key %q", key)
		}
	}
	anonymous := redis.NewClient(&redis.Options{Addr: options.Addr, MaxRetries: -1})
	defer anonymous.Close()
	if err := anonymous.Get(t.Context(), keys[0]).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without a password: %v", err)
	}
}

func TestACancellationReachesNoRunOfAnother(t *testing.T) {
	for n, kind := range []string{"by its id", "by its key", "by both names"} {
		id := fmt.Sprintf("%s-%d", t.Name(), n)
		fleet.Send(t, fleettest.Request(tenantB, id, fleettest.Data{Script: runner, Timeout: 30, Input: input("def attempt(input):\n    import time; time.sleep(0.5); return 'kept'", nil)}))
		named := map[string]string{"by its id": id, "by its key": string(run.KeyOf(tenantB, fleettest.Story, id)), "by both names": tenantB + "/" + id}[kind]
		fleet.Send(t, fleettest.Cancel(tenantA, id+"-cancel", named))
		answer := fleet.AwaitOf(t, tenantA, id+"-cancel")
		if !strings.Contains(string(answer.Data.Output), `"state":"unknown"`) {
			t.Errorf("%s: a's cancellation found %s", kind, answer.Data.Output)
		}
		if res := fleet.AwaitOf(t, tenantB, id); string(res.Data.Output) != `"kept"` {
			t.Errorf("%s: b's run came to %s", kind, res.Body)
		}
	}
	// The entitled tenant finds it.
	id := t.Name() + "-own"
	fleet.Send(t, fleettest.Request(tenantB, id, fleettest.Data{Script: hello}))
	fleet.AwaitOf(t, tenantB, id)
	fleet.Send(t, fleettest.Cancel(tenantB, id+"-cancel", id))
	if res := fleet.AwaitOf(t, tenantB, id+"-cancel"); strings.Contains(string(res.Data.Output), `"unknown"`) {
		t.Errorf("b's own cancellation found %s", res.Data.Output)
	}
}

func TestTheSameScriptOfTwoTenantsIsTwoFunctions(t *testing.T) {
	var mark string
	code := `
import os
def attempt(input):
    seen = os.environ.get("SEEN") or (open("/tmp/seen").read() if os.path.exists("/tmp/seen") else "")
    open("/tmp/seen", "w").write(input["who"])
    return seen
`
	b := try(t, tenantB, code, map[string]any{"who": "b"}, &mark)
	a := try(t, tenantA, code, map[string]any{"who": "a"}, &mark)
	if functionOf(a) == functionOf(b) || a.Data.Function.ScriptHash == b.Data.Function.ScriptHash || mark == "b" {
		t.Errorf("a ran in %s and found %q, b in %s", functionOf(a), mark, functionOf(b))
	}
	if again := try(t, tenantA, code, map[string]any{"who": "a"}, &mark); functionOf(again) != functionOf(a) || mark != "a" {
		t.Errorf("a's second run was in %s and found %q", functionOf(again), mark)
	}
}

// A layer from a tenant's own index belongs to that tenant, also if everything
// else is equal.
func TestALayerOfAPrivateIndexIsNotShared(t *testing.T) {
	private := map[string]string{}
	policy, err := run.NewPolicy(run.PolicyConfig{PrivateIndex: func(tenant string) string { return private[tenant] }, Handler: "1"})
	if err != nil {
		t.Fatal(err)
	}
	env := func(tenant, index string) run.EnvHash {
		private[tenant] = index
		r, bad := policy.Decode([]byte(fleettest.Request(tenant, "1", fleettest.Data{Script: hello, Requirements: "requests==2.32.3"})), time.Now())
		if bad != nil {
			t.Fatal(bad)
		}
		return r.Script.EnvHash
	}
	if env(tenantA, "") != env(tenantB, "") {
		t.Error("layers of the public index are not shared")
	}
	own := (&url.URL{Scheme: "https", Host: "packages.example", Path: "/simple"}).String()
	envs := map[run.EnvHash]string{
		env(tenantA, ""): "public", env(tenantA, own): "a's", env(tenantB, own): "b's with the same address", env(tenantB, own+"/"+tenantA): "b's with another",
	}
	if len(envs) != 4 {
		t.Errorf("of four envs, some are one: %v", envs)
	}
}
