package dashboards

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// within bounds each wait, for a process to answer or a query to return data.
const within = 90 * time.Second

// scrapeEvery is the interval of the scrapes and of the rules' evaluation.
const scrapeEvery = "500ms"

// site is what the steps of the proof share: a fleet of real processes, and a
// Prometheus that scrapes it.
type site struct {
	fleet      ourFleet
	prometheus server
}

// startSite returns once Prometheus has scraped every process twice: a rate
// counts only what happens after the first scrape.
func startSite(t *testing.T) *site {
	t.Helper()
	fleet := startFleet(t)
	s := &site{fleet: fleet, prometheus: startPrometheus(t, fleet)}
	wait.Until(t, within, "prometheus does not scrape the dispatcher and both workers", func() bool {
		return s.prometheus.hasData(t, "count(count_over_time(scriptfleet_process_ready[1m]) >= 2) == 3")
	})
	return s
}

// ourFleet is the embedded stack, a dispatcher and two workers, each a process.
type ourFleet struct {
	command                   string // scriptfleet
	env                       []string
	dispatcher, first, second *process.Process
}

func startFleet(t *testing.T) ourFleet {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "bin")
	if err := program.Build(bin, false, program.All...); err != nil {
		t.Fatal(err)
	}
	_, set := fleettest.StartLocal(t, bin, program.Environment(), "--no-fleet")
	f := ourFleet{command: filepath.Join(bin, "scriptfleet"), env: set.Env()}
	start := func(name string, args ...string) *process.Process {
		return process.Start(t, f.env, filepath.Join(bin, name), append(args, "--admin-addr", "127.0.0.1:0", "--log-format", "json")...)
	}
	f.dispatcher = start("dispatcher")
	f.first, f.second = start("worker", "--cache-dir", t.TempDir()), start("worker", "--cache-dir", t.TempDir())
	return f
}

// replay sends n requests of three tenants, at rate per second: some succeed,
// some of them after a second, one has a requirement, some fail.
func (f ourFleet) replay(t *testing.T, n, rate int) <-chan error {
	t.Helper()
	var lines strings.Builder
	encoder := json.NewEncoder(&lines)
	for i := range n {
		data := map[string]any{"script": "def main(input):\n    return {'n': input['n']}", "input": map[string]int{"n": i}}
		switch i % 10 {
		case 1:
			data = map[string]any{"script": "import idna\ndef main(input):\n    return idna.__version__", "requirements": "idna==3.10\n"}
		case 2:
			data = map[string]any{"script": "def main(input):\n    raise ValueError('no')"}
		case 3, 4, 5:
			data = map[string]any{"script": "import time\ndef main(input):\n    time.sleep(1)"}
		}
		err := encoder.Encode(map[string]any{
			"specversion": "1.0", "type": "scriptfleet.run.requested", "source": "/stories/replay", "id": strconv.Itoa(i),
			"tenant": fmt.Sprintf("tenant-%d", i%3), "data": data,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	file := files.Write(t, "requests.jsonl", lines.String())
	done := make(chan error, 1)
	replay := exec.CommandContext(t.Context(), f.command, "replay", file, "--rate", strconv.Itoa(rate))
	replay.Env = f.env
	go func() {
		out, err := replay.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		done <- err
	}()
	return done
}
