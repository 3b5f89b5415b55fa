package layer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
)

func TestAUVThatDoesNotWorkIsRefusedAtStart(t *testing.T) {
	other := filepath.Join(t.TempDir(), "uv")
	if err := os.WriteFile(other, []byte("#!/bin/sh\necho hello\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "uv")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho 'uv 0.4.30 (2024-11-04)'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{"/nope": "does not exist", "/etc/passwd": "does not run", other: "is not uv", old: "is uv 0.4.30, while 0.6 or later is needed"} {
		_, err := New(Config{CacheDir: t.TempDir(), UV: path}, Deps{})
		if err == nil || !strings.Contains(err.Error(), "uv is set to "+path+", which "+says) || !strings.Contains(err.Error(), "leave it out") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// withoutUV hides every uv of this machine except the one that a build fetches.
func withoutUV(t *testing.T, cfg Config) (*Builder, *observer.ObservedLogs) {
	t.Helper()
	found := interpreters(t) // before the PATH is emptied: they may be found there only
	t.Setenv("PATH", "/usr/bin:/bin")
	core, logs := observer.New(zap.InfoLevel)
	b, err := New(cfg, Deps{Log: zap.New(core), Interpreters: found})
	if err != nil {
		t.Fatal(err)
	}
	return b, logs
}

func TestAMachineWithoutUVFetchesItOnce(t *testing.T) {
	dir := t.TempDir()
	b, logs := withoutUV(t, Config{CacheDir: dir})
	if len(logs.FilterMessageSnippet("the first build fetches it").All()) != 1 {
		t.Errorf("the start does not say that uv is missing: %v", logs.All())
	}
	s := script(t, python(t), "six==1.17.0")
	if l := mustBuild(t, b, s); !strings.Contains(l.Log, "fetching uv") || !strings.Contains(l.Log, "with uv") {
		t.Errorf("log: %s", l.Log)
	}
	again, logs := withoutUV(t, Config{CacheDir: dir})
	if again.uv.path != fetchedUV(dir) || len(logs.FilterMessageSnippet("built with uv").All()) != 1 {
		t.Errorf("the next process has uv %q, and says %v", again.uv.path, logs.All())
	}
}

func TestAnotherUVThanThePinnedOneIsNotRun(t *testing.T) {
	index := pypitest.Serve(t, pypitest.Wheel{Name: "uv", Version: uvVersion, Files: map[string]string{"uv-" + uvVersion + ".data/scripts/uv": "#!/bin/sh\necho uv 0.0\n"}})
	b, logs := withoutUV(t, Config{CacheDir: t.TempDir(), Index: index})
	l, err := b.Layer(t.Context(), script(t, python(t), "scriptfleet-none"))
	if err == nil || !strings.Contains(l.Log, "uv could not be fetched") || !strings.Contains(l.Log, "with pip") {
		t.Errorf("built %v with log %s", err, l.Log)
	}
	if b.uv.path != "" || isFile(fetchedUV(b.cfg.CacheDir)) {
		t.Error("the index's own uv was taken")
	}
	warned := logs.FilterMessageSnippet("could not fetch uv").All()
	if len(warned) != 1 || !strings.Contains(warned[0].ContextMap()["error"].(string), "another uv") {
		t.Errorf("the log does not say why: %v", logs.All())
	}
}

func TestAFetchThatFailedIsTriedAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetches := 0
		u := &uvSource{log: zap.NewNop(), turn: make(chan struct{}, 1), fetch: func(context.Context) (string, error) {
			if fetches++; fetches < 2 {
				return "", errors.New("no index")
			}
			return "/uv", nil
		}}
		get := func() string {
			path, err := u.get(t.Context(), newBuildLog(func(string) {}))
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
		first, second := get(), get()
		if first != "" || second != "" || fetches != 1 {
			t.Errorf("got %q and %q with %d fetches", first, second, fetches)
		}
		time.Sleep(fetchAgain)
		if third, fourth := get(), get(); third != "/uv" || fourth != "/uv" || fetches != 2 {
			t.Errorf("later: %q and %q with %d fetches", third, fourth, fetches)
		}
	})
}

func TestABuildThatEndsIsNotAFailedFetch(t *testing.T) {
	u := &uvSource{log: zap.NewNop(), turn: make(chan struct{}, 1), fetch: func(ctx context.Context) (string, error) { return "", ctx.Err() }}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.get(ended, newBuildLog(func(string) {})); !errors.Is(err, context.Canceled) || !u.after.IsZero() {
		t.Errorf("got %v, next fetch at %v", err, u.after)
	}
}

// TestTheFetchedUVIsTheTestedOne compares the fetched version with the version
// of the tests' tools.
func TestTheFetchedUVIsTheTestedOne(t *testing.T) {
	tools, err := os.ReadFile("../../.ci/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(tools), "\nuv=="+uvVersion+"\n") {
		t.Errorf("the tests' tools have another uv than %s", uvVersion)
	}
}
