package fleettest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestTenantsSettingsReachTheirFunctionsAndTheirRuns(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tenants.json")
	write := func(settings string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"tenants":{"acme":{"memory_mb":320},"globex":{"max_running":0}}}`)
	f := startFleet(t, "--tenants", file)
	script := Data{Script: "def main(input):\n    return 1"}
	f.send(Request("globex", "stopped", script), Request("acme", "sized", script))

	res := f.Await(t, "sized")
	if got := f.memoryOf(t, "acme", res.Data.Function.ScriptHash); got != 320 {
		t.Errorf("the function has %d MB", got)
	}
	explain := func() string {
		return command(t, f.env(), "", "explain", "stopped", "--tenant", "globex", "--source", Story, "--tenants", file).Stdout
	}
	eventually(t, "explain does not say that the tenant is stopped", func() bool { return strings.Contains(explain(), "max_running is 0") })

	write(`{"tenants":{"acme":{"memory_mb":384},"globex":{}}}`)
	if res := f.Await(t, "stopped"); res.Data.Status != run.Succeeded || res.Data.Attempt != 1 {
		t.Errorf("the result of the run that waited is %s", res.Body)
	}
	pause := func(act string) {
		t.Helper()
		if got := command(t, f.env(), "", "tenants", act, "globex", "--tenants", file, "--json"); got.Code != 0 {
			t.Fatalf("tenants %s: %s", act, got.Stderr)
		}
	}
	read := metric(t, f.local.Admin(), `scriptfleet_tenant_settings_reads_total{outcome="loaded"}`)
	pause("pause")
	eventually(t, "the fleet does not read the pause", func() bool {
		return metric(t, f.local.Admin(), `scriptfleet_tenant_settings_reads_total{outcome="loaded"}`) > read
	})
	f.send(Request("globex", "paused", script))
	eventually(t, "explain does not say that the tenant is paused", func() bool {
		return strings.Contains(command(t, f.env(), "", "explain", "paused", "--tenant", "globex", "--source", Story, "--tenants", file).Stdout, "scriptfleet tenants resume globex")
	})
	listed := command(t, f.env(), "", "tenants", "--tenants", file, "--paused", "--json").Stdout
	if !strings.Contains(listed, `"tenant":"globex","state":"paused","open":1,`) || strings.Contains(listed, "acme") {
		t.Errorf("tenants lists %s", listed)
	}
	pause("resume")
	if res := f.Await(t, "paused"); res.Data.Status != run.Succeeded {
		t.Errorf("the result of the run that was paused is %s", res.Body)
	}
	f.send(Request("acme", "sized-again", script))
	if again := f.Await(t, "sized-again"); f.memoryOf(t, "acme", again.Data.Function.ScriptHash) != 384 || again.Data.Build.Outcome != run.BuildBuilt {
		t.Errorf("after the change: %s", again.Body)
	}
}

// memoryOf is the memory of a tenant's function in MB. It also checks the
// tenant's tag.
func (f *fleet) memoryOf(t *testing.T, tenant string, h run.ScriptHash) int32 {
	t.Helper()
	name := run.FunctionName("scriptfleet", tenant, h)
	made, err := lambda.NewFromConfig(f.set.Config()).GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: &name})
	if err != nil {
		t.Fatal(err)
	}
	if made.Tags[function.TagTenant] != tenant {
		t.Errorf("the tags are %v", made.Tags)
	}
	return *made.Configuration.MemorySize
}
