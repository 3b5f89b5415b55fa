package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// unconfigured is an environment that names no fleet, and a cache of the test's
// own.
func unconfigured(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("REDIS_URL", "")
	t.Setenv("SCRIPTFLEET_CACHE_DIR", t.TempDir())
}

func TestReplayOfGeneratedRequestsLosesNothingAndBuildsEachScriptOnce(t *testing.T) {
	unconfigured(t)
	file := filepath.Join(t.TempDir(), "report.json")
	code := execute(t.Context(), []string{
		"replay", "--generate", "tenants=4,scripts=6,requests=100,failing=1", "--rate", "100", "--arrivals", "poisson",
		"--expect-builds", "6", "--linger", "200ms", "--wait", "2m", "--report", file,
	})
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r replay.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Results != 100 || r.Lost.Count != 0 || r.Doubled.Count != 0 || r.Unexpected.Count != 0 || !r.OK {
		t.Errorf("%d results, %d lost, %d doubled, %d unexpected: %q", r.Results, r.Lost.Count, r.Doubled.Count, r.Unexpected.Count, r.Failure)
	}
	if r.ByStatus[run.Succeeded] != 84 || r.ByStatus[run.Failed] != 16 {
		t.Errorf("results are %v", r.ByStatus)
	}
	if r.Builds.Scripts != 6 || r.Builds.Built != 6 || len(r.Builds.Again) != 0 || r.ColdStarts < 6 {
		t.Errorf("builds are %+v with %d cold starts", r.Builds, r.ColdStarts)
	}
	if len(r.Tenants) != 4 || r.Tenants[0].Results != r.Tenants[0].Runs {
		t.Errorf("tenants are %+v", r.Tenants)
	}
	for _, stage := range []string{"intake", "execute", "total", "transit"} {
		if r.Stages[stage].Count != 100 {
			t.Errorf("stage %s has %d runs", stage, r.Stages[stage].Count)
		}
	}
}

func TestReplayRefusesWhatItCannotSend(t *testing.T) {
	unconfigured(t)
	batch := filepath.Join(t.TempDir(), "batch.jsonl")
	if err := os.WriteFile(batch, []byte("{\"tenant\":\"acme\"}\nno request\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"nothing to send":             {},
		"two batches":                 {batch, "--generate", "tenants=1"},
		"a line that is no request":   {batch},
		"a file that is not there":    {batch + ".gone"},
		"a generator without sense":   {"--generate", "tenants=0"},
		"two paces":                   {"--generate", "tenants=1", "--rate", "1", "--at-once"},
		"a rate below zero":           {"--generate", "tenants=1", "--rate", "-1"},
		"no times to go by":           {"--generate", "tenants=1", "--speed", "1"},
		"minutes of no trace":         {"--generate", "tenants=1", "--minutes", "1:2"},
		"a trace that is none":        {"--trace", batch},
		"a trace at a pace of others": {"--trace", batch, "--rate", "1"},
	} {
		if code := execute(t.Context(), append([]string{"replay"}, args...)); code != exitUsage {
			t.Errorf("%s: exit code %d, not %d", name, code, exitUsage)
		}
	}
}
