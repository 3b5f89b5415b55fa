package fleettest

import (
	"fmt"
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
	f := launchFleet(t, "--runtimes", table, "--index", pypitest.Serve[pypitest.File](t, greeting("9.9", "public"))).withMailbox()
	runtimes := func(args ...string) string {
		t.Helper()
		got := command(t, f.env(), "", append([]string{"runtimes"}, append(args, "--runtimes", table)...)...)
		if got.Code != 0 {
			t.Fatalf("runtimes %q exits %d: %s", args, got.Code, got.Stderr)
		}
		return got.Stdout
	}
	const where = "import acme_greeting, sys\ndef main(input):\n    return [open(sys.prefix + '/lib/mark').read(), '%d.%d' % sys.version_info[:2], acme_greeting.SAYS]"
	runs := 0
	ran := func(tenant string) Arrival {
		t.Helper()
		runs++
		id := fmt.Sprint("run-", runs)
		f.send(Request(tenant, id, Data{Script: where, Runtime: "own", Requirements: "acme-greeting"}))
		return f.AwaitOf(t, tenant, id)
	}
	if says := runtimes("add", "own", "--zip", zipped, "--tenant", "acme"); !strings.Contains(says, "own is Python "+minor) {
		t.Errorf("added: %s", says)
	}
	var res Arrival
	eventually(t, "it is offered", func() bool { res = ran("acme"); return res.Data.Status != run.Rejected })
	if want := `["` + runtimetest.Mark + `", "` + minor + `", "public"]`; string(res.Data.Output) != want || res.Data.Function.Runtime != "own" {
		t.Errorf("it is not %s: %s", want, res.Body)
	}
	if res := ran("globex"); res.Data.Status != run.Rejected || res.Data.Error.Type != run.UnknownRuntime {
		t.Errorf("another tenant's: %s", res.Body)
	}
	runtimes("remove", "own")
	eventually(t, "it is offered no more", func() bool { return ran("acme").Data.Status == run.Rejected })
}
