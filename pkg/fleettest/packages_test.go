package fleettest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// indexPassword is the password of the tenants' own package index.
const indexPassword = "password-of-the-private-index"

func greeting(version, says string) pypitest.Wheel {
	return pypitest.Wheel{Name: "acme-greeting", Version: version, Files: map[string]string{"acme_greeting.py": "SAYS = '" + says + "'\n"}}
}

const greets = "import acme_greeting\ndef main(input):\n    return acme_greeting.SAYS"

// withPackages starts a fleet whose public index has acme-greeting 9.9. The
// tenants acme and globex have 1.0 on an index of their own, for which one
// keeps its secret in a file and the other in Secrets Manager; the reference of
// initech leads nowhere.
func withPackages(t *testing.T, args ...string) *fleet {
	t.Helper()
	own := pypitest.Private(t, "acme", indexPassword, greeting("0.9", "older"), greeting("1.0", "private"))
	kept := filepath.Join(t.TempDir(), "index-secret")
	if err := os.WriteFile(kept, []byte("acme:"+indexPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	managed, err := secretsmanager.NewFromConfig(mototest.Config()).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String(t.Name()), SecretString: aws.String(`{"username":"acme","password":"` + indexPassword + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(t.TempDir(), "tenants.json")
	entry := `%q: {"package_index": {"url": %q, "secret": %q}}`
	text := fmt.Sprintf(`{"tenants": {`+entry+","+entry+","+entry+`}}`,
		"acme", own, "file:"+kept, "globex", own, *managed.ARN, "initech", own, "env:NOT_SET_ANYWHERE")
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	public := pypitest.Serve[pypitest.File](t, greeting("9.9", "public"), pypitest.Wheel{Name: "elsewhere", Version: "1"},
		pypitest.Backend("only-source", "1", "", "text = 'X = 1'"))
	local, set := StartLocal(t, checked, program.Environment(ofTheTests("AWS_ENDPOINT_URL_SECRETS_MANAGER="+mototest.URL)...),
		append([]string{"--partitions", "2", "--poll-wait", "1s", "--tenants", settings, "--index", public, "--source-builds"}, args...)...)
	set["SCRIPTFLEET_TENANTS"] = settings
	return &fleet{t: t, local: local, set: set}
}

// runs runs the script greets with the command, and returns how it ended.
func (f *fleet) runs(t *testing.T, tenant, requirements string, more ...string) process.Ended {
	t.Helper()
	dir := t.TempDir()
	script, file := filepath.Join(dir, "greets.py"), filepath.Join(dir, "requirements.txt")
	if err := errors.Join(os.WriteFile(script, []byte(greets), 0o600), os.WriteFile(file, []byte(requirements), 0o600)); err != nil {
		t.Fatal(err)
	}
	return command(t, f.env(), "", append([]string{"run", script, "--tenant", tenant, "--requirements", file}, more...)...)
}

func TestATenantsPackagesComeFromItsOwnIndex(t *testing.T) {
	t.Parallel()
	f := withPackages(t)
	envs := map[run.EnvHash]bool{}
	said := ""
	for tenant, want := range map[string]string{"acme": `"private"`, "globex": `"private"`, "hooli": `"public"`} {
		got := f.runs(t, tenant, "acme-greeting\nelsewhere", "--event")
		said += got.Stdout
		var res run.Result
		if err := json.Unmarshal([]byte(got.Stdout), &res); err != nil || res.Data.Status != run.Succeeded || string(res.Data.Output) != want {
			t.Fatalf("%s: %s", tenant, got.Stdout)
		}
		version := map[string]string{`"private"`: "1.0", `"public"`: "9.9"}[want]
		if named := res.Data.Build.Packages; !slices.Equal(named, []string{"acme-greeting==" + version, "elsewhere==1"}) {
			t.Errorf("%s: the result names %q", tenant, named)
		}
		envs[res.Data.Function.EnvHash] = true
	}
	if len(envs) != 3 {
		t.Errorf("layers are shared: %v", envs)
	}
	lost := f.runs(t, "initech", "acme-greeting")
	if lost.Code != 3 || !strings.Contains(lost.Stderr, "IndexSecret") || !strings.Contains(lost.Stderr, "env:NOT_SET_ANYWHERE") || !strings.Contains(lost.Stderr, "for the operator") {
		t.Errorf("without its secret: %s", lost.Stderr)
	}
	t.Run("the secret is nowhere", func(t *testing.T) {
		for where, text := range map[string]string{"a result": said + lost.Stderr, "the log": f.local.Said(), "Redis": f.inRedis()} {
			if strings.Contains(text, indexPassword) {
				t.Errorf("it is in %s", where)
			}
		}
	})
	t.Run("what exists only as source is built", func(t *testing.T) {
		got := f.runs(t, "acme", "acme-greeting\nonly-source>=1", "--event")
		if got.Code != 0 || !strings.Contains(got.Stdout, `"only-source==1"`) || !strings.Contains(got.Stdout, "building only-source==1 from source, in a sandbox without network") {
			t.Errorf("it exits %d: %s", got.Code, got.Stdout)
		}
	})
	t.Run("a denied package is used no more", func(t *testing.T) {
		packages := func(args ...string) string {
			t.Helper()
			got := command(t, f.env(), "", append([]string{"packages"}, args...)...)
			if got.Code != 0 {
				t.Fatalf("packages %q exits %d: %s", args, got.Code, got.Stderr)
			}
			return got.Stdout
		}
		users := packages("used-by", "acme-greeting==1.0.0")
		if strings.Count(users, "acme-greeting==1.0 ") != 3 || !strings.Contains(users, " globex ") || strings.Contains(users, "hooli") {
			t.Errorf("used by:\n%s", users)
		}
		before := f.runs(t, "acme", "acme-greeting", "--event")
		packages("deny", "Acme_Greeting==1.0", "--reason", "it is rude", "--ask", "security@acme.example")
		if list := packages("list", "--json"); !strings.Contains(list, `"package":"acme-greeting==1","reason":"it is rude","ask":"security@acme.example"`) {
			t.Errorf("the list is %s", list)
		}
		eventually(t, "the denied version is used", func() bool { return f.runs(t, "acme", "acme-greeting").Stdout == "\"older\"\n" })
		pinned := f.runs(t, "acme", "acme-greeting==1.0")
		for _, says := range []string{"PackageDenied", "acme-greeting==1.0", "it is rude", "security@acme.example"} {
			if pinned.Code != 3 || !strings.Contains(pinned.Stderr, says) {
				t.Errorf("%s is not told: %s", says, pinned.Stderr)
			}
		}
		packages("allow", "acme-greeting==1.0")
		function := regexp.MustCompile(`"script_hash":"[^"]+"`)
		eventually(t, "the function from before is not used again", func() bool {
			after := f.runs(t, "acme", "acme-greeting", "--event")
			return strings.Contains(after.Stdout, `"private"`) && function.FindString(after.Stdout) == function.FindString(before.Stdout) && strings.Contains(after.Stdout, `"outcome":"reused"`)
		})
	})
	t.Run("what was resolved can be locked", func(t *testing.T) {
		lock := f.runs(t, "acme", "acme-greeting", "--lock")
		if lock.Code != 0 || !strings.HasPrefix(lock.Stdout, "acme-greeting==1.0 \\\n    --hash=sha256:") {
			t.Fatalf("run --lock exits %d: %s%s", lock.Code, lock.Stdout, lock.Stderr)
		}
		if got := f.runs(t, "acme", lock.Stdout); got.Code != 0 || got.Stdout != "\"private\"\n" {
			t.Errorf("with the lock it exits %d: %s%s", got.Code, got.Stdout, got.Stderr)
		}
		other := regexp.MustCompile("[0-9a-f]{64}").ReplaceAllString(lock.Stdout, strings.Repeat("0", 64))
		if got := f.runs(t, "acme", other); got.Code != 3 || !strings.Contains(got.Stderr, "HashMismatch") {
			t.Errorf("with another hash it exits %d: %s%s", got.Code, got.Stdout, got.Stderr)
		}
	})
}

// inRedis is everything that the fleet keeps in Redis.
func (f *fleet) inRedis() string {
	f.t.Helper()
	o, err := redis.ParseURL(f.set["REDIS_URL"])
	if err != nil {
		f.t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer c.Close()
	keys, err := c.Keys(f.t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		f.t.Fatalf("%d keys, %v", len(keys), err)
	}
	var all strings.Builder
	for _, key := range keys {
		fmt.Fprintln(&all, key, c.Get(f.t.Context(), key).Val(), c.HGetAll(f.t.Context(), key).Val(), c.SMembers(f.t.Context(), key).Val(), c.ZRange(f.t.Context(), key, 0, -1).Val())
	}
	return all.String()
}
