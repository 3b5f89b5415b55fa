package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAdminTellsHealthReadinessAndMetrics(t *testing.T) {
	var broken atomic.Bool
	admin, err := ListenAdmin(AdminConfig{Addr: "127.0.0.1:0"}, NewRegistry(), func() error {
		if broken.Load() {
			return errors.New("redis is out of reach")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- admin.Run(ctx) }()

	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + admin.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ok", "/metrics": "go_goroutines", "/debug/pprof/": "goroutine",
	} {
		if code, body := get(path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d, without %q", path, code, want)
		}
	}
	broken.Store(true)
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "redis") {
		t.Errorf("GET /readyz of a broken process: %d %s", code, body)
	}
	if _, body := get("/metrics"); !strings.Contains(body, "scriptfleet_process_ready 0") {
		t.Error("/metrics of a broken process tells that it is ready")
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestProfilesAskForThePasswordAndNothingTellsTheCommandLine(t *testing.T) {
	admin, err := ListenAdmin(AdminConfig{Addr: "127.0.0.1:0", User: "key", Password: "secret"}, NewRegistry(), func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- admin.Run(ctx) }()
	for url, want := range map[string]int{
		"/metrics": 200, "/healthz": 200, "/debug/pprof/": 401, "/debug/pprof/heap": 401, "/debug/pprof/trace": 401, "/debug/pprof/cmdline": 401,
		"key:secret@/debug/pprof/heap": 200, "key:secret@/debug/pprof/cmdline": 404, "key:@/debug/pprof/heap": 401, "key:other@/debug/pprof/heap": 401,
	} {
		who, path, with := strings.Cut(url, "@")
		if !with {
			who, path = "", url
		} else {
			who += "@"
		}
		resp, err := http.Get("http://" + who + admin.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: %d, not %d", url, resp.StatusCode, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestALoggerRefusesWhatItDoesNotKnow(t *testing.T) {
	if _, err := NewLogger("loud", "json"); err == nil {
		t.Error("level loud is accepted")
	}
	if _, err := NewLogger("info", "xml"); err == nil {
		t.Error("format xml is accepted")
	}
}
