package dashboards

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

func TestEveryQueryHasDataUnderAReplay(t *testing.T) {
	fleet := startFleet(t)
	prometheus := startPrometheus(t, fleet)
	// A rate counts only what happens after the first scrape.
	wait.Until(t, within, "prometheus does not scrape the dispatcher and both workers", func() bool {
		return prometheus.hasData(t, "count(count_over_time(scriptfleet_process_ready[1m]) >= 2) == 3")
	})
	replayed := fleet.replay(t, 200, 20)

	for _, q := range queries(t) {
		wait.Until(t, within, fmt.Sprintf("%s: %s has no data", q.panel, q.expr), func() bool {
			return prometheus.hasData(t, substitute(q.expr))
		})
	}
	for _, r := range rules(t, "recording.yml") {
		wait.Until(t, within, r.Record+" has no data", func() bool { return prometheus.hasData(t, r.Record) })
	}
	if err := <-replayed; err != nil {
		t.Errorf("replay: %v", err)
	}

	known := prometheus.names(t)
	for _, name := range metricsOf(t) {
		if !slices.Contains(known, name) {
			t.Errorf("%s is in a query or a rule, and no process shows it", name)
		}
	}
	for _, alert := range prometheus.alerts(t) {
		t.Errorf("a fleet that is well raises %s", alert)
	}

	// A worker is killed with runs in hand, and the other goes on.
	replayed = fleet.replay(t, 200, 20)
	wait.Until(t, within, "the second worker has nothing in hand", func() bool {
		return prometheus.hasData(t, fmt.Sprintf("scriptfleet_worker_active{instance=%q} > 0", fleet.second.Admin()))
	})
	fleet.second.Kill()
	if err := <-replayed; err != nil {
		t.Errorf("replay over a kill: %v", err)
	}
	lost := "ScriptfleetProcessLost: scriptfleet-worker " + fleet.second.Admin() + " is lost"
	wait.Until(t, within, "no alert tells of the worker that was killed", func() bool {
		return slices.Contains(prometheus.alerts(t), lost)
	})
	for _, alert := range prometheus.alerts(t) {
		if strings.HasPrefix(alert, "ScriptfleetBooks") || strings.HasPrefix(alert, "ScriptfleetNoWorker") {
			t.Errorf("a worker that was killed raises %s", alert)
		}
	}
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

// server is a Prometheus that scrapes a fleet.
type server struct{ url string }

// startPrometheus starts Prometheus with the shipped configuration, in which
// the targets and the interval are replaced by the fleet's addresses and 1 s.
func startPrometheus(t *testing.T, f ourFleet) server {
	t.Helper()
	dir := t.TempDir()
	config := strings.NewReplacer(
		`["local:9101"]`, `["`+f.dispatcher.Admin()+`"]`,
		`["local:9111", "local:9112"]`, `["`+f.first.Admin()+`", "`+f.second.Admin()+`"]`,
		"interval: 15s", "interval: 1s",
	).Replace(files.Read(t, "prometheus.yml"))
	for name, content := range map[string]string{
		"prometheus.yml": config, "recording.yml": files.Read(t, "recording.yml"), "alerts.yml": files.Read(t, "alerts.yml"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	process.Start(t, os.Environ(), program.OnPath(t, "prometheus"), "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", addr)
	s := server{"http://" + addr}
	wait.Until(t, within, "prometheus is not ready", func() bool {
		resp, err := http.Get(s.url + "/-/ready")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
	return s
}

// hasData tells whether a query returns at least one number.
func (s server) hasData(t *testing.T, expr string) bool {
	t.Helper()
	var data struct {
		Result []struct{ Value [2]any }
	}
	s.get(t, "/api/v1/query?query="+url.QueryEscape(expr), &data)
	for _, sample := range data.Result {
		v, err := strconv.ParseFloat(fmt.Sprint(sample.Value[1]), 64)
		if err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return true
		}
	}
	return false
}

// names are the names of all metrics that were scraped or recorded.
func (s server) names(t *testing.T) (names []string) {
	t.Helper()
	s.get(t, "/api/v1/label/__name__/values", &names)
	return names
}

// alerts are the pending and the firing alerts.
func (s server) alerts(t *testing.T) (raised []string) {
	t.Helper()
	var data struct {
		Alerts []struct {
			Labels      map[string]string
			Annotations map[string]string
		}
	}
	s.get(t, "/api/v1/alerts", &data)
	for _, a := range data.Alerts {
		raised = append(raised, a.Labels["alertname"]+": "+a.Annotations["summary"])
	}
	return raised
}

func (s server) get(t *testing.T, path string, data any) {
	t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("GET %s: %v %s", path, err, answer.Error)
	}
}

var metric = regexp.MustCompile(`\bscriptfleet[_:][a-z0-9_:]+`)

// metricsOf lists the metrics that queries and rules name.
func metricsOf(t *testing.T) (names []string) {
	t.Helper()
	exprs := []string{}
	for _, q := range queries(t) {
		exprs = append(exprs, q.expr)
	}
	for _, r := range rules(t, "recording.yml", "alerts.yml") {
		exprs = append(exprs, r.Expr)
	}
	for _, expr := range exprs {
		names = append(names, metric.FindAllString(expr, -1)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
