package layer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

func TestReadyTellsWhatBuildsLack(t *testing.T) {
	runtime := python(t)
	uv := filepath.Join(t.TempDir(), "uv")
	if err := os.WriteFile(uv, []byte("#!/bin/sh\necho uv 9.9.9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{CacheDir: filepath.Join(t.TempDir(), "cache"), UV: uv}, Deps{Interpreters: interpreters(t)})
	if err != nil {
		t.Fatal(err)
	}
	want := func(says string) {
		t.Helper()
		err := b.Ready(t.Context(), runtime)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	want("")
	if left, _ := os.ReadDir(b.cache.dir); len(left) != 0 {
		t.Errorf("left in the cache: %v", left)
	}
	if err := os.WriteFile(uv, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	want("uv at " + b.uv.path + " does not run: install it again")
	if err := os.RemoveAll(b.cache.dir); err != nil {
		t.Fatal(err)
	}
	want("set --cache-dir")
}

func TestReadyTakesPipForUV(t *testing.T) {
	b, err := New(Config{CacheDir: t.TempDir(), UV: NoUV}, Deps{Interpreters: interpreters(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(t.Context(), python(t)); err != nil {
		t.Errorf("with pip: %v", err)
	}
	b.deps.Interpreters = interpreter.Set{}
	if err := b.Ready(t.Context(), python(t)); err == nil || !strings.Contains(err.Error(), "neither uv nor a Python") {
		t.Errorf("with neither: %v", err)
	}
}
