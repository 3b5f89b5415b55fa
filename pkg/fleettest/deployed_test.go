package fleettest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
)

// The queues, the bucket and the roles are those that moto's CloudFormation
// makes of the template; no process creates any. Lambda, STS and Redis are the
// embedded stack's, since moto runs functions in containers only. moto makes no
// alarms.
func TestTheFleetRunsOnWhatTheTemplateMakes(t *testing.T) {
	t.Parallel()
	const prefix = "deployed"
	f := launch(t, shipped, "--no-fleet", "--prefix", prefix)
	stack := createStack(t, f.set, prefix, "0,1,2")

	f.set["AWS_ENDPOINT_URL_SQS"], f.set["AWS_ENDPOINT_URL_S3"] = mototest.URL, mototest.URL
	f.set["SCRIPTFLEET_PREFIX"], f.set["SCRIPTFLEET_PARTITIONS"] = prefix, "3"
	f.set["SCRIPTFLEET_BUCKET"], f.set["SCRIPTFLEET_ROLE_ARN"] = stack["Bucket"], stack["ScriptRoleArn"]
	f.dispatcher()
	f.worker()

	const large = 1_200_000 // bytes: more than a queue takes, so the bucket is used in both directions
	dir := t.TempDir()
	script, input := filepath.Join(dir, "twice.py"), files.Write(t, "input.json", `{"text": "`+strings.Repeat("x", large)+`"}`)
	if err := os.WriteFile(script, []byte("def main(input):\n    return input['text'] * 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := output(t, f.env(), filepath.Join(shipped, "scriptfleet"), "run", script, "--input", "@"+input); len(got) != 2*large+len(`""`) {
		t.Errorf("the run gave %d bytes", len(got))
	}
	for _, name := range []string{"RequestsUrl", "ResultsUrl", "TenantRoleArn", "DispatcherRoleArn", "WorkerRoleArn", "StoriesPolicyArn", "OperatorPolicyArn"} {
		if stack[name] == "" {
			t.Errorf("the stack has no output %s", name)
		}
	}
}

// createStack creates the stack on moto, in the region of the fleet, and returns
// its outputs.
func createStack(t *testing.T, set Settings, prefix, partitions string) (outputs map[string]string) {
	t.Helper()
	env := set.Env("AWS_ENDPOINT_URL=" + mototest.URL)
	out := output(t, env, tool(t, "python"), filepath.Join("testdata", "createstack.py"),
		filepath.Join("..", "..", "deploy", "cloudformation.yaml"), prefix, partitions)
	if err := json.Unmarshal([]byte(out), &outputs); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return outputs
}
