package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// fakeSTS is an STS with roles and their trust policies. Each call takes a
// second.
type fakeSTS struct {
	mu     sync.Mutex
	trusts map[string]func(externalID string) bool
	fails  error
	calls  []Request
}

func (f *fakeSTS) AssumeRole(ctx context.Context, r Request) (AWS, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return AWS{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r)
	if f.fails != nil {
		return AWS{}, f.fails
	}
	if trust, ok := f.trusts[r.RoleARN]; !ok || !trust(r.ExternalID) {
		return AWS{}, &DeniedError{"AccessDenied", "no"}
	}
	return AWS{AccessKeyID: fmt.Sprintf("AK%d", len(f.calls)), SecretAccessKey: "secret", SessionToken: "token", Expires: time.Now().Add(r.Duration)}, nil
}

func (f *fakeSTS) count(externalID string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c.ExternalID == externalID {
			n++
		}
	}
	return n
}

type roles map[string]Role // by tenant/name

func (r roles) Role(tenant, name string) (Role, bool) {
	role, ok := r[tenant+"/"+name]
	return role, ok
}

func is(id string) func(string) bool { return func(got string) bool { return got == id } }

const (
	roleA = "arn:aws:iam::111111111111:role/a"
	roleB = "arn:aws:iam::222222222222:role/path/b"
	own   = "arn:aws:iam::999999999999:role/worker"
)

func newAssumer(t *testing.T, sts *fakeSTS, r roles) *Assumer {
	t.Helper()
	a, err := NewAssumer(AssumerConfig{OwnAccounts: []string{"999999999999", "888888888888"}}, AssumerDeps{STS: sts, Roles: r})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPanicInACallIsOneInEachRunThatWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{trusts: map[string]func(string) bool{roleA: func(string) bool { panic("a fault of ours") }}}
		a := newAssumer(t, sts, roles{"acme/prod": {ARN: roleA, ExternalID: "xa"}})
		var caught [3]*panics.Error
		var wg sync.WaitGroup
		for n := range caught {
			wg.Go(func() {
				caught[n] = panics.Catch(func() { a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "run1"}) })
			})
		}
		wg.Wait()
		for _, p := range caught {
			if p == nil || p.ID != caught[0].ID || !strings.Contains(p.Stack, "AssumeRole") {
				t.Errorf("caught %+v", p)
			}
		}
		sts.trusts[roleA] = is("xa")
		if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "run1"}); !got.Success {
			t.Errorf("the panic is remembered: %s", got.Reason)
		}
	})
}

func TestOneCallServesManyRunsWhileItsKeysOutlastTheLongestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{trusts: map[string]func(string) bool{roleA: is("xa")}}
		a := newAssumer(t, sts, roles{"acme/prod": {ARN: roleA, ExternalID: "xa"}})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "run1"}); !got.Success || got.AWS.AccessKeyID != "AK1" {
					t.Errorf("got %+v", got.Reason)
				}
			})
		}
		wg.Wait()
		time.Sleep(39 * time.Minute)
		a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "run2"})
		if n := sts.count("xa"); n != 1 {
			t.Errorf("%d calls for 101 runs within 39 minutes, want 1", n)
		}
		time.Sleep(time.Minute)
		if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "run3"}); !got.Success || sts.count("xa") != 2 {
			t.Errorf("20 minutes before expiry: success %v after %d calls", got.Success, sts.count("xa"))
		}
	})
}

func TestACallOutlivesTheRunThatCausedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{trusts: map[string]func(string) bool{roleA: is("xa")}}
		a := newAssumer(t, sts, roles{"acme/prod": {ARN: roleA, ExternalID: "xa"}})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if got := a.Assume(ctx, Ask{Tenant: "acme", Credential: "prod", Run: "first"}); got.Success {
				t.Error("a cancelled run was served")
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "second"}); !got.Success {
				t.Errorf("the second run fell with the first: %s", got.Reason)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestDenialsAreRememberedForTwoMinutesAndFailuresForTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{}
		a := newAssumer(t, sts, roles{"acme/prod": {ARN: roleA, ExternalID: "xa"}})
		for range 3 {
			if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"}); got.Success || !strings.Contains(got.Reason, "AccessDenied") {
				t.Errorf("got %+v", got)
			}
		}
		if n := len(sts.calls); n != 1 {
			t.Fatalf("%d calls for a denied role, want 1", n)
		}
		time.Sleep(deniedFor)
		sts.fails = errors.New("throttled")
		a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"})
		a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"})
		if n := len(sts.calls); n != 2 {
			t.Fatalf("%d calls after two minutes, want 2", n)
		}
		time.Sleep(failedFor)
		sts.fails, sts.trusts = nil, map[string]func(string) bool{roleA: is("xa")}
		if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"}); !got.Success {
			t.Errorf("a failure was remembered for more than two seconds: %s", got.Reason)
		}
	})
}

func TestARoleThatOpensWithoutItsExternalIDIsRefused(t *testing.T) {
	for name, trust := range map[string]func(string) bool{
		"to everyone":               func(string) bool { return true },
		"to callers that name none": func(id string) bool { return id == "" || id == "xa" },
		"to any name":               func(id string) bool { return id != "" },
	} {
		synctest.Test(t, func(t *testing.T) {
			sts := &fakeSTS{trusts: map[string]func(string) bool{roleA: trust}}
			a := newAssumer(t, sts, roles{"acme/prod": {ARN: roleA, ExternalID: "xa"}})
			got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"})
			if got.Success || got.AWS != (AWS{}) || !strings.Contains(got.Reason, CodeOpenRole) {
				t.Errorf("role open %s: %+v", name, got)
			}
			sts.trusts[roleA] = is("xa")
			time.Sleep(openFor + time.Second)
			if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"}); !got.Success {
				t.Errorf("role open %s, then mended: %s", name, got.Reason)
			}
		})
	}
}

func TestAClosedRoleIsProbedOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{trusts: map[string]func(string) bool{roleA: is("xa")}}
		a := newAssumer(t, sts, roles{"acme/prod": {ARN: roleA, ExternalID: "xa"}})
		for range 23 {
			a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"})
			time.Sleep(time.Hour)
		}
		if n := sts.count(""); n != 1 {
			t.Errorf("%d probes in a day, want 1", n)
		}
		time.Sleep(2 * time.Hour)
		a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"})
		if n := sts.count(""); n != 2 {
			t.Errorf("%d probes after a day, want 2", n)
		}
	})
}

func TestARoleThatCannotBeProbedIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &probeFails{fakeSTS{trusts: map[string]func(string) bool{roleA: func(string) bool { return true }}}}
		a, err := NewAssumer(AssumerConfig{}, AssumerDeps{STS: sts, Roles: roles{"acme/prod": {ARN: roleA, ExternalID: "xa"}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"}); got.Success {
			t.Error("an unprobed role was used")
		}
	})
}

type probeFails struct{ fakeSTS }

func (p *probeFails) AssumeRole(ctx context.Context, r Request) (AWS, error) {
	if r.ExternalID != "xa" {
		return AWS{}, errors.New("throttled")
	}
	return p.fakeSTS.AssumeRole(ctx, r)
}

func TestATenantGetsNoRoleButItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func(string) bool { return true }
		sts := &fakeSTS{trusts: map[string]func(string) bool{roleA: is("xa"), roleB: is("xb"), own: open}}
		a := newAssumer(t, sts, roles{
			"acme/prod":  {ARN: roleA, ExternalID: "xa"},
			"evil/mine":  {ARN: roleB, ExternalID: "xb"},
			"evil/acme":  {ARN: roleA, ExternalID: "xb"}, // another tenant's role under its own external ID
			"evil/ours":  {ARN: own, ExternalID: "xb"},
			"evil/bare":  {ARN: roleB, ExternalID: ""},
			"evil/odd":   {ARN: "arn:aws:sts::111111111111:assumed-role/a/b", ExternalID: "xb"},
			"evil\x00/a": {ARN: roleB, ExternalID: "xb"},
		})
		for name, code := range map[string]string{
			"acme": "AccessDenied", "prod": CodeUnknown, "ours": CodeOwnAccount, "bare": CodeInvalid, "odd": CodeInvalid, "": CodeUnknown,
		} {
			a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"}) // now acme's credentials are in memory
			if got := a.Assume(t.Context(), Ask{Tenant: "evil", Credential: name, Run: "r"}); got.Success || !strings.Contains(got.Reason, code) {
				t.Errorf("credential %q: %v %s, want %s", name, got.Success, got.Reason, code)
			}
		}
		if got := a.Assume(t.Context(), Ask{Tenant: "evil", Credential: "mine", Run: "r"}); !got.Success {
			t.Errorf("its own: %s", got.Reason)
		}
	})
}

func TestACredentialIsForTheRuntimesThatItsSettingsAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{trusts: map[string]func(string) bool{roleA: is("xa")}}
		a := newAssumer(t, sts, roles{"acme/cli": {ARN: roleA, ExternalID: "xa", Runtimes: []string{"aws-cli"}}})
		for runtime, want := range map[string]string{"python3.13": CodeRuntime, "aws-cli": ""} {
			got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "cli", Runtime: runtime, Run: "r"})
			if got.Success != (want == "") || got.Code != want {
				t.Errorf("%s: %v %q", runtime, got.Success, got.Reason)
			}
		}
	})
}

func TestARefusalSaysWhoCanMendIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{trusts: map[string]func(string) bool{roleA: func(string) bool { return true }}}
		a := newAssumer(t, sts, roles{
			"acme/open":   {ARN: roleA, ExternalID: "secret-id-of-acme"},
			"acme/closed": {ARN: roleB, ExternalID: "secret-id-of-acme"},
			"acme/ours":   {ARN: own, ExternalID: "secret-id-of-acme"},
			"acme/bare":   {ARN: roleB},
		})
		for name, who := range map[string]string{
			"open": "owner of its AWS account", "closed": "owner of its AWS account", "ours": "operator", "bare": "operator", "none": "author",
		} {
			got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: name, Run: "r"})
			if got.Success || !strings.Contains(got.Reason, "The "+who+" ") || strings.Contains(got.Reason, "secret-id") {
				t.Errorf("%s: %q", name, got.Reason)
			}
		}
		if said := sentence(Ask{Tenant: "acme", Credential: "prod"}, Role{ARN: roleA}, &DeniedError{CodePlatform, "no"}); !strings.Contains(said, "The operator has to") {
			t.Errorf("a platform that may not: %q", said)
		}
		sts.fails = errors.New("it does not answer")
		got := a.Assume(t.Context(), Ask{Tenant: "globex", Credential: "none", Run: "r"})
		if got.Code != CodeUnknown {
			t.Errorf("a credential that is not there: %+v", got)
		}
		a = newAssumer(t, sts, roles{"acme/prod": {ARN: roleA, ExternalID: "xa"}})
		if got := a.Assume(t.Context(), Ask{Tenant: "acme", Credential: "prod", Run: "r"}); got.Code != "" || !strings.Contains(got.Reason, "run again") {
			t.Errorf("an STS that fails: %+v", got)
		}
	})
}

func TestASessionReachesOnlyItsTenantsFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const role = "arn:aws:iam::999999999999:role/tenants"
		sts := &fakeSTS{trusts: map[string]func(string) bool{role: is("")}}
		s, err := NewSessions(SessionsConfig{RoleARN: role, Region: "eu-west-1", Account: "999999999999", Prefix: "scriptfleet"}, SessionsDeps{STS: sts})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 50 {
			for _, tenant := range []string{"acme", "acme-2"} {
				wg.Go(func() {
					if _, err := s.Session(t.Context(), tenant); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		if len(sts.calls) != 2 {
			t.Fatalf("%d calls for two tenants, want 2", len(sts.calls))
		}
		for _, c := range sts.calls {
			tenant, _, _ := strings.Cut(c.SessionName, "@")
			var p struct {
				Statement []struct{ Effect, Action, Resource string }
			}
			if err := json.Unmarshal([]byte(c.Policy), &p); err != nil || len(p.Statement) != 1 || len(c.Policy) > 2048 {
				t.Fatalf("policy %q: %v", c.Policy, err)
			}
			want := "arn:aws:lambda:eu-west-1:999999999999:function:" + run.TenantPrefix("scriptfleet", tenant) + "*"
			if st := p.Statement[0]; st.Resource != want || st.Action != "lambda:InvokeFunction" || st.Effect != "Allow" {
				t.Errorf("policy of %s: %+v", tenant, st)
			}
		}
	})
}

func TestSessionIsDroppedOnceByAnyNumberOfRunsThatMetIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const role = "arn:aws:iam::999999999999:role/tenants"
		sts := &fakeSTS{trusts: map[string]func(string) bool{role: is("")}}
		s, err := NewSessions(SessionsConfig{RoleARN: role, Region: "eu-west-1", Account: "999999999999", Prefix: "scriptfleet"}, SessionsDeps{STS: sts})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := s.Session(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			s.Drop("acme", "AK1") // three runs were refused with the same session
		}
		if got, err := s.Session(t.Context(), "acme"); err != nil || got.AccessKeyID != "AK2" {
			t.Errorf("the session is %s (%v), want the one that was made since, AK2", got.AccessKeyID, err)
		}
		s.Drop("globex", "AK2")
		if len(sts.calls) != 2 {
			t.Errorf("%d calls of STS, want 2", len(sts.calls))
		}
	})
}

func TestMemoryHoldsNoMoreThanItsMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(100, 0)
		for i := range 1000 {
			_, err := c.get(t.Context(), fmt.Sprint(i), func(context.Context) (AWS, error) {
				return AWS{Expires: time.Now().Add(time.Hour)}, nil
			})
			if err != nil || len(c.answers) > 100 {
				t.Fatalf("after %d: %v, %d answers", i, err, len(c.answers))
			}
		}
	})
}

func TestNoFormatShowsCredentials(t *testing.T) {
	a := Assumed{Success: true, AWS: AWS{"AKID", "hush", "token", time.Time{}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, a); strings.Contains(got, "hush") || strings.Contains(got, "AKID") {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}

func TestSessionNamesAreWhatSTSTakes(t *testing.T) {
	for _, c := range [][2]string{{"acme", "run/1 ü"}, {strings.Repeat("a", 63), "abcdefgh"}, {"", ""}} {
		got := sessionName(c[0], c[1])
		if notSessionName.MatchString(got) || len(got) > 64 || len(got) < 1 {
			t.Errorf("session name %q", got)
		}
	}
}

func BenchmarkKeptSession(b *testing.B) {
	c := newCache(10, 0)
	call := func(context.Context) (AWS, error) { return AWS{Expires: time.Now().Add(time.Hour)}, nil }
	for b.Loop() {
		_, _ = c.get(b.Context(), "acme", call)
	}
}
