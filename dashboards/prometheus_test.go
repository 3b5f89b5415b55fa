package dashboards

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// server is a Prometheus that scrapes a fleet.
type server struct{ url string }

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
