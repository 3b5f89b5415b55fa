package dashboards

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/dashboards/board"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// server is a Prometheus that scrapes a fleet.
type server struct{ url, dir string }

// startPrometheus starts Prometheus with the shipped configuration, in which
// the targets and the X.
func startPrometheus(t *testing.T, f ourFleet) server {
	t.Helper()
	dir := t.TempDir()
	config := strings.NewReplacer(
		`["local:9101"]`, `["`+f.dispatcher.Admin()+`"]`,
		`["local:9111", "local:9112"]`, `["`+f.first.Admin()+`", "`+f.second.Admin()+`"]`,
		"interval: 15s", "interval: "+scrapeEvery,
	).Replace(files.Read(t, "prometheus.yml"))
	// alerts_test.yml proves after how long an alert fires. Here it would be waited for.
	alerts := strings.ReplaceAll(files.Read(t, "alerts.yml"), "for: 45s", "for: 2s")
	for name, content := range map[string]string{
		"prometheus.yml": config, "recording.yml": files.Read(t, "recording.yml"), "alerts.yml": alerts,
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
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", addr, "--enable-feature", "exemplar-storage", "--web.enable-lifecycle")
	s := server{"http://" + addr, dir}
	wait.Until(t, within, "prometheus is not ready", func() bool {
		resp, err := http.Get(s.url + "/-/ready")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
	return s
}

// changeRules has Prometheus read its rules again, changed.
func (s server) changeRules(t *testing.T, change func(rules string) string) {
	t.Helper()
	for _, name := range []string{"recording.yml", "alerts.yml"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(change(files.Read(t, name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.Post(s.url+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if why, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("prometheus does not take the changed rules: %s %v", why, err)
	}
}

// hasData tells whether a query returns at least one number.
func (s server) hasData(t *testing.T, expr string) bool { return len(s.values(t, expr)) > 0 }

// sample is a value of a series.
type sample struct {
	labels map[string]string
	value  float64
}

// values are the numbers that a query returns; NaN and infinity are none.
func (s server) values(t *testing.T, expr string) (all []sample) {
	t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	s.get(t, "/api/v1/query?query="+url.QueryEscape(expr), &data)
	for _, r := range data.Result {
		if v, ok := number(r.Value[1]); ok {
			all = append(all, sample{r.Metric, v})
		}
	}
	return all
}

// ranged is a series over a time.
type ranged struct {
	labels map[string]string
	points []board.Point
}

// matrix are the series that a query returns over a time.
func (s server) matrix(t *testing.T, expr string, from, to time.Time) (all []ranged) {
	t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
	seconds := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
	s.get(t, "/api/v1/query_range?step=1&start="+seconds(from)+"&end="+seconds(to)+"&query="+url.QueryEscape(expr), &data)
	for _, r := range data.Result {
		one := ranged{labels: r.Metric}
		for _, v := range r.Values {
			if n, ok := number(v[1]); ok {
				one.points = append(one.points, board.Point{At: time.UnixMilli(int64(v[0].(float64) * 1000)).UTC(), Value: n})
			}
		}
		all = append(all, one)
	}
	return all
}

func number(v any) (float64, bool) {
	n, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// exemplars are the trace ids of a metric's exemplars.
func (s server) exemplars(t *testing.T, metric string) (ids []string) {
	t.Helper()
	var data []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
	s.get(t, "/api/v1/query_exemplars?query="+metric+"&start="+at(-time.Hour)+"&end="+at(time.Minute), &data)
	for _, d := range data {
		for _, e := range d.Exemplars {
			ids = append(ids, e.Labels["trace_id"])
		}
	}
	return ids
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
