package fleettest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/runtimetest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestAnOperatorsInterpreterRunsScripts(t *testing.T) {
	t.Parallel()
	table := files.Write(t, "runtimes.json", `{"runtimes": []}`)
	zipped, minor := runtimetest.Python(t)
	f := launchFleet(t, "--runtimes", table, "--index", pypitest.Serve[pypitest.File](t, greeting("9.9", "public")))
	runtimes := func(want int, args ...string) string {
		t.Helper()
		got := command(t, f.env(), "", append([]string{"runtimes"}, args...)...)
		if got.Code != want {
			t.Fatalf("runtimes %q exits %d: %s", args, got.Code, got.Stderr)
		}
		return got.Stdout + got.Stderr
	}
	where := script(t, "import sys\ndef main(input):\n    return [open(sys.prefix + '/lib/mark').read(), '%d.%d' % sys.version_info[:2]]")
	ran := func(tenant string) (res run.Result) {
		t.Helper()
		got := command(t, f.env(), "", "run", where, "--runtime", "own", "--tenant", tenant, "--event")
		if err := json.Unmarshal([]byte(got.Stdout), &res); err != nil {
			t.Fatalf("%v: %s%s", err, got.Stdout, got.Stderr)
		}
		return res
	}
	if bad := files.Write(t, "bad.zip", string(runtimetest.Zip(t, runtimetest.Entry{Name: "../bin/python3"}))); !strings.Contains(runtimes(2, "add", "own", "--zip", bad, "--runtimes", table), `"../bin/python3" leads out of it`) {
		t.Error("what is wrong with a ZIP is not told")
	}
	if says := runtimes(2, "add", "python3.13", "--zip", zipped, "--runtimes", table); !strings.Contains(says, "Lambda's own") {
		t.Errorf("under a name of Lambda's: %s", says)
	}
	if says := runtimes(0, "add", "own", "--zip", zipped, "--runtimes", table, "--tenant", "acme"); !strings.Contains(says, "own is Python "+minor) {
		t.Errorf("added: %s", says)
	}
	if list := runtimes(0, "list", "--runtimes", table); !strings.Contains(list, "own") || !strings.Contains(list, "acme") {
		t.Errorf("the list is\n%s", list)
	}
	var res run.Result
	eventually(t, "it is offered", func() bool { res = ran("acme"); return res.Data.Status != run.Rejected })
	if want := `["` + runtimetest.Mark + `", "` + minor + `"]`; string(res.Data.Output) != want || res.Data.Function.Runtime != "own" {
		t.Errorf("it returned %s, not %s; %+v", res.Data.Output, want, res.Data.Error)
	}
	if res := ran("globex"); res.Data.Status != run.Rejected || res.Data.Error.Type != run.UnknownRuntime || strings.Contains(res.Data.Error.Message, "own,") {
		t.Errorf("another tenant's: %s, %+v", res.Data.Status, res.Data.Error)
	}
	greets, needs := script(t, "import acme_greeting, sys\ndef main(input):\n    return [acme_greeting.SAYS, sys.prefix]"), files.Write(t, "requirements.txt", "acme-greeting")
	if got := command(t, f.env(), "", "run", greets, "--runtime", "own", "--tenant", "acme", "--requirements", needs); got.Code != 0 || !strings.HasPrefix(got.Stdout, `["public", `) {
		t.Errorf("with a requirement it exits %d: %s%s", got.Code, got.Stdout, got.Stderr)
	}
	runtimes(0, "remove", "own", "--runtimes", table)
	eventually(t, "it is offered no more", func() bool { return ran("acme").Data.Status == run.Rejected })
}
