package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/probe"
)

func TestAdminTellsHealthReadinessAndMetrics(t *testing.T) {
	var broken atomic.Bool
	since := time.Now().Add(-90 * time.Second)
	admin, err := ListenAdmin(AdminConfig{Addr: "127.0.0.1:0"}, NewRegistry(), func() []probe.State {
		redis := probe.State{Part: "redis", Since: since}
		if broken.Load() {
			redis.Reason = errors.New("no answer\nwrong password")
		}
		return []probe.State{{Part: "sqs", Since: since}, redis}
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
	code, body := get("/readyz")
	if fields := strings.Join(strings.Fields(body), " "); code != 503 || fields != "not ready sqs up for 1m30s redis down for 1m30s no answer; wrong password" {
		t.Errorf("GET /readyz of a broken process: %d %s", code, body)
	}
	code, body = get("/readyz?format=json")
	var page struct {
		Ready bool
		Parts []shownPart
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil || code != 503 || page.Ready || len(page.Parts) != 2 {
		t.Fatalf("as JSON: %d %s: %v", code, body, err)
	}
	for i, want := range []shownPart{{Part: "sqs", Up: true}, {Part: "redis", Reason: "no answer; wrong password"}} {
		if got := page.Parts[i]; !got.Since.Equal(since) || got.Part != want.Part || got.Up != want.Up || got.Reason != want.Reason {
			t.Errorf("as JSON: %+v, not %+v", got, want)
		}
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
	admin, err := ListenAdmin(AdminConfig{Addr: "127.0.0.1:0", User: "key", Password: "secret"}, NewRegistry(), func() []probe.State { return nil })
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
