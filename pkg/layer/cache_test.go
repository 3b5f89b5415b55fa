package layer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func testCache(t testing.TB, dir string, most int64) *cache {
	t.Helper()
	c, err := openCache(dir, most)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func someLayer(seed byte, size int) Layer {
	return Layer{Zip: bytes.Repeat([]byte{seed, '\n'}, size/2), SHA256: strings.Repeat("ab", 32), UnpackedBytes: 7, Log: "line one\nline two"}
}

func TestAKeptLayerComesBackAsItWas(t *testing.T) {
	dir := t.TempDir()
	want := someLayer('x', 1000)
	if err := testCache(t, dir, 1<<20).put("env", want); err != nil {
		t.Fatal(err)
	}
	got, err := testCache(t, dir, 1<<20).get("env") // as another process would
	if err != nil || !bytes.Equal(got.Zip, want.Zip) || got.SHA256 != want.SHA256 || got.Log != want.Log || got.UnpackedBytes != 7 {
		t.Errorf("%v %+v", err, got)
	}
	if _, err := testCache(t, dir, 1<<20).get("other"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("another env: %v", err)
	}
}

func TestADamagedLayerIsDiscarded(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"truncated":    func(b []byte) []byte { return b[:len(b)-1] },
		"empty":        func([]byte) []byte { return nil },
		"flipped zip":  func(b []byte) []byte { b[len(b)-10] ^= 1; return b },
		"flipped head": func(b []byte) []byte { b[80] ^= 1; return b },
		"flipped sum":  func(b []byte) []byte { b[3] ^= 1; return b },
		"appended":     func(b []byte) []byte { return append(b, 'x') },
	}
	for name, damage := range damages {
		c := testCache(t, t.TempDir(), 1<<20)
		if err := c.put("env", someLayer('x', 1000)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(c.path("env"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(c.path("env"), damage(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.get("env"); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: got %v", name, err)
		}
		if isFile(c.path("env")) {
			t.Errorf("%s: the file is still there", name)
		}
	}
}

func TestADamagedLayerIsBuiltAgain(t *testing.T) {
	t.Parallel()
	b := builder(t, Config{})
	s := script(t, python(t), "six==1.17.0")
	first := mustBuild(t, b, s)
	if again := mustBuild(t, b, s); !again.Cached || !bytes.Equal(again.Zip, first.Zip) {
		t.Fatalf("the second build was not served from the cache")
	}
	if err := os.Truncate(b.cache.path(s.EnvHash), 300); err != nil {
		t.Fatal(err)
	}
	if rebuilt := mustBuild(t, b, s); rebuilt.Cached || rebuilt.SHA256 != first.SHA256 {
		t.Errorf("cached %v, equal %v", rebuilt.Cached, rebuilt.SHA256 == first.SHA256)
	}
	if again := mustBuild(t, b, s); !again.Cached {
		t.Error("the rebuilt layer was not kept")
	}
}

func TestTheLongestUnusedLayersGoFirst(t *testing.T) {
	c := testCache(t, t.TempDir(), 3500)
	age := func(env run.EnvHash, hours int) {
		at := time.Now().Add(-time.Duration(hours) * time.Hour)
		if err := os.Chtimes(c.path(env), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i, env := range []run.EnvHash{"a", "b", "c"} {
		if err := c.put(env, someLayer('x', 800)); err != nil {
			t.Fatal(err)
		}
		age(env, 10-i)
	}
	if _, err := c.get("a"); err != nil { // reading a makes b the least recently used
		t.Fatal(err)
	}
	if err := c.put("d", someLayer('x', 800)); err != nil {
		t.Fatal(err)
	}
	for env, there := range map[run.EnvHash]bool{"a": true, "b": false, "c": true, "d": true} {
		if isFile(c.path(env)) != there {
			t.Errorf("layer %s is there: %v, want %v", env, !there, there)
		}
	}
}

func TestAFullDiskLosesNoLayerAndLeavesNoHalf(t *testing.T) {
	t.Parallel()
	b, err := New(Config{CacheDir: t.TempDir(), UV: uvPath(t)}, Deps{Log: zaptest.NewLogger(t), Interpreters: interpreters(t)})
	if err != nil {
		t.Fatal(err)
	}
	b.cache.write = func(f *os.File, data []byte) error {
		_, _ = f.Write(data[:len(data)/2])
		return fmt.Errorf("write: %w", syscall.ENOSPC)
	}
	s := script(t, python(t), "six==1.17.0")
	if l := mustBuild(t, b, s); l.Cached || len(l.Zip) == 0 {
		t.Error("the layer was lost")
	}
	if left, _ := filepath.Glob(filepath.Join(b.cfg.CacheDir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	wantError(t, b.blame(t.Context(), fmt.Errorf("make build folder: %w", syscall.ENOSPC), s, nil), TypeDiskFull, run.OwnerOperator, true)
}

func TestManyWritersOfOneFolderKeepLayersWhole(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			c := testCache(t, dir, 10_000) // room for a few
			for i := range 50 {
				env := run.EnvHash(fmt.Sprint(i % 5))
				if err := c.put(env, someLayer(byte('a'+w), 3000)); err != nil {
					t.Error(err)
				}
				l, err := c.get(env)
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Error(err)
				}
				if err == nil && len(bytes.Trim(l.Zip, string(l.Zip[:2]))) > 0 {
					t.Error("a layer of two writers")
				}
			}
		})
	}
	wg.Wait()
}

func TestWhatKilledBuildsLeftIsSwept(t *testing.T) {
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{workPrefix + "old": 25 * time.Hour, tempPrefix + "old": 25 * time.Hour, workPrefix + "new": time.Hour, "x" + layerSuffix: 900 * time.Hour} {
		p := filepath.Join(dir, name)
		if err := os.Mkdir(p, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, time.Now().Add(-age), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	testCache(t, dir, 1)
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := encode(someLayer('x', 100))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, got []byte) {
		l, err := decode(got)
		if err == nil && !bytes.HasSuffix(got, l.Zip) {
			t.Error("the zip is not the file's")
		}
	})
}
