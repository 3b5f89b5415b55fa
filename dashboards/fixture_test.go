package dashboards

import (
	"fmt"
	"os/exec"
	"path/filepath"
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

// scrapeEvery is the interval of the scrapes and of the rules' evaluation. It is
// also how long a scrape may take, on a busy machine.
const scrapeEvery = "1s"

// site is what the steps of the proof share: a fleet of real processes, and a
// Prometheus that scrapes it.
type site struct {
	fleet      ourFleet
	prometheus server
	began      time.Time // of the story
	busiest    time.Time
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
	bin                       string // folder of the programs
	command                   string // scriptfleet
	set                       fleettest.Settings
	env                       []string
	tenants                   string // file of the tenants' settings
	stack                     *process.Process
	dispatcher, first, second *process.Process
	throttle                  *throttle // between the workers and Lambda
}

func startFleet(t *testing.T) ourFleet {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "bin")
	if err := program.Build(bin, false, program.All...); err != nil {
		t.Fatal(err)
	}
	f := ourFleet{bin: bin, command: filepath.Join(bin, "scriptfleet"), tenants: files.Write(t, "tenants.json", "{}")}
	f.stack, f.set = fleettest.StartLocal(t, bin, program.Environment(), "--no-fleet")
	f.env = f.set.Env()
	f.throttle = startThrottle(t, f.set["AWS_ENDPOINT_URL"])
	f.dispatcher = f.start(t, "dispatcher", "127.0.0.1:0")
	f.first, f.second = f.start(t, "worker", "127.0.0.1:0"), f.start(t, "worker", "127.0.0.1:0")
	return f
}

// start starts a dispatcher or a worker, which is scraped at the address admin.
func (f ourFleet) start(t *testing.T, name, admin string) *process.Process {
	args := []string{"--tenants", f.tenants, "--admin-addr", admin, "--log-format", "json"}
	if name == "worker" {
		args = append(args, "--cache-dir", t.TempDir())
	}
	behind := f.set.Env("AWS_ENDPOINT_URL_LAMBDA=" + f.throttle.url)
	return process.Start(t, behind, filepath.Join(f.bin, name), args...)
}

// replay sends a batch at its recorded times, and sends on the channel once each
// request has its result.
func (f ourFleet) replay(t *testing.T, b *batch) <-chan error {
	t.Helper()
	file := files.Write(t, "requests.jsonl", b.lines.String())
	done := make(chan error, 1)
	replay := exec.CommandContext(t.Context(), f.command, "replay", file, "--speed", "1", "--linger", "0s")
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
