package interpreter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFindReturnsInterpretersThatWorkAndNoShims(t *testing.T) {
	set, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for minor, i := range set {
		out, err := exec.Command(i.Path, "-c", "import sys, json; print('%d.%d.%d' % sys.version_info[:3], end='')").Output()
		if err != nil || string(out) != i.Version || i.Minor != minor {
			t.Errorf("%+v says %q, %v", i, out, err)
		}
		if real, err := filepath.EvalSymlinks(i.Path); err != nil || real != i.Path {
			t.Errorf("%s is a link to %s", i.Path, real)
		}
		magic := make([]byte, 2)
		if f, err := os.Open(i.Path); err != nil {
			t.Error(err)
		} else if _, _ = f.Read(magic); string(magic) == "#!" {
			t.Errorf("%s is a script", i.Path)
		} else {
			f.Close()
		}
	}
}

// fake writes an executable that prints what an interpreter would.
func fake(t *testing.T, path, implementation, version string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' %s %s %s %s\n", implementation, version, path, filepath.Dir(filepath.Dir(path)))
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// bare redirects the places that Find searches to empty folders, where it can.
func bare(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "MISE_DATA_DIR", "ASDF_DATA_DIR"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("PATH", filepath.Join(home, "bin"))
	return home
}

func TestFindLooksWhereVersionManagersPutThem(t *testing.T) {
	home := bare(t)
	fake(t, home+"/bin/python3.90", "cpython", "3.90.1")
	fake(t, home+"/.pyenv/versions/3.91.2/bin/python3.91", "cpython", "3.91.2")
	fake(t, home+"/.local/share/uv/python/cpython-3.92.0/bin/python3.92", "cpython", "3.92.0")
	fake(t, home+"/.asdf/installs/python/3.93.0/bin/python3.93", "cpython", "3.93.0")
	fake(t, home+"/.local/share/mise/installs/python/3.94.0/bin/python3.94", "cpython", "3.94.0")
	set, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, minor := range []string{"3.90", "3.91", "3.92", "3.93", "3.94"} {
		if _, ok := set.For(minor); !ok {
			t.Errorf("%s was not found", minor)
		}
	}
}

func TestFindLooksBesideShimsAndNeverRunsThem(t *testing.T) {
	home := bare(t)
	fake(t, home+"/manager/shims/python3.95", "cpython", "3.95.0")
	fake(t, home+"/manager/versions/3.96.0/bin/python3.96", "cpython", "3.96.0")
	t.Setenv("PATH", home+"/manager/shims")
	set, _ := Find(t.Context())
	if _, ok := set.For("3.95"); ok {
		t.Error("the shim was run")
	}
	if _, ok := set.For("3.96"); !ok {
		t.Error("the install beside the shims was not found")
	}
}

func TestFindKeepsTheNewestOfAMinorAndLeavesOutWhatDoesNotWork(t *testing.T) {
	home := bare(t)
	fake(t, home+"/.pyenv/versions/a/bin/python3.97", "cpython", "3.97.9")
	fake(t, home+"/.pyenv/versions/b/bin/python3.97", "cpython", "3.97.10")
	fake(t, home+"/.pyenv/versions/c/bin/python3.98", "pypy", "3.98.0")
	fake(t, home+"/.pyenv/versions/d/bin/python3", "cpython", "3.7.1")
	if err := os.WriteFile(home+"/.pyenv/versions/d/bin/python3.99", []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	set, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if set["3.97"].Version != "3.97.10" {
		t.Errorf("kept %s", set["3.97"].Version)
	}
	for _, minor := range []string{"3.98", "3.99", "3.7"} {
		if i, ok := set.For(minor); ok {
			t.Errorf("%+v was found", i)
		}
	}
}

func TestMinorsAreInOrderOfVersion(t *testing.T) {
	set := Set{"3.9": {}, "3.13": {Minor: "3.13"}, "3.10": {}}
	if got := set.Minors(); !slices.Equal(got, []string{"3.9", "3.10", "3.13"}) {
		t.Error(got)
	}
	if newest, ok := set.Newest(); !ok || newest.Minor != "3.13" {
		t.Error(newest, ok)
	}
	if _, ok := (Set{}).Newest(); ok {
		t.Error("an empty set has a newest")
	}
}

func TestAnswersThatAreNoneAreRefused(t *testing.T) {
	for _, answer := range []string{"", "cpython\n3.13.0\n", "cpython\nx\n/a\n/b\n", "cpython\n2.7.18\n/a\n/b\n", "pypy\n3.10.0\n/a\n/b\n", "cpython\n3.13.0\n/no/such\n/b\n"} {
		if i, err := parse(answer); err == nil {
			t.Errorf("%q: %+v", answer, i)
		}
	}
}

func TestCandidatesThatAreTooSlowAreNamed(t *testing.T) {
	slow := filepath.Join(t.TempDir(), "python3.13")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := ask(ctx, slow)
	if err := none([]string{"/bin/other", slow}, []error{errors.New("is no Python"), err}); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), slow) || strings.Contains(err.Error(), "/bin/other") {
		t.Error(err)
	}
	if err := none([]string{"/bin/other"}, []error{errors.New("is no Python")}); err != ErrNone {
		t.Error(err)
	}
}

func TestFindFailsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Find(ctx); err == nil || errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

func BenchmarkFind(b *testing.B) {
	for b.Loop() {
		if _, err := Find(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
