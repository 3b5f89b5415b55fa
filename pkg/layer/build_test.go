package layer

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var _ builds.Layers = (*Builder)(nil)

// These tests run real builds with both installers, from the package index for
// which this machine is configured.

// uvPath is the uv on the PATH, or the one that make setup installed with the
// repository's other tools.
func uvPath(t testing.TB) string {
	t.Helper()
	if p, err := exec.LookPath("uv"); err == nil {
		return p
	}
	p, err := filepath.Abs("../../.tools/bin/uv")
	if err != nil || !isFile(p) {
		t.Fatal("uv is needed on the PATH or in .tools/bin: run make setup")
	}
	return p
}

func interpreters(t testing.TB) interpreter.Set {
	t.Helper()
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// python is the minor version for which the tests build: the newest installed
// one whose bytecode is compiled in parallel (see parallelFrom), or else the
// newest.
func python(t testing.TB) string {
	t.Helper()
	best := ""
	for minor := range interpreters(t) {
		if n := minorNumber(minor); n > minorNumber(best) && n <= 13 {
			best = minor
		}
	}
	return best
}

func script(t testing.TB, minor string, reqs ...string) run.Script {
	t.Helper()
	platform := "manylinux_2_34"
	if minorNumber(minor) < 12 {
		platform = "manylinux2014"
	}
	return run.Script{
		Tenant: "acme", Requirements: strings.Join(reqs, "\n"), EnvHash: run.EnvHash(strings.ToLower(fmt.Sprintf("env%x", strings.Join(reqs, "")+minor))),
		Runtime: run.Runtime{Name: "python" + minor, Lambda: "python" + minor, Python: minor, Platform: platform},
	}
}

func builder(t testing.TB, cfg Config) *Builder {
	t.Helper()
	if cfg.CacheDir == "" {
		cfg.CacheDir = t.TempDir()
	}
	if cfg.UV == "" {
		cfg.UV = uvPath(t)
	}
	b, err := New(cfg, Deps{Log: zaptest.NewLogger(t), Interpreters: interpreters(t)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustBuild(t testing.TB, b *Builder, s run.Script) Layer {
	t.Helper()
	l, err := b.Layer(t.Context(), s)
	if err != nil {
		t.Fatalf("build %q: %v\n%s", s.Requirements, err, l.Log)
	}
	return l
}

func contents(t testing.TB, l Layer) map[string]string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(l.Zip), int64(len(l.Zip)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range r.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		rc.Close()
		files[f.Name] = string(data)
	}
	return files
}

// unpack writes the layer to a folder, as Lambda does below /opt.
func unpack(t testing.TB, l Layer) string {
	t.Helper()
	opt := t.TempDir()
	r, err := zip.NewReader(bytes.NewReader(l.Zip), int64(len(l.Zip)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(opt, r); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(opt, "python")
}

func TestALayerImportsAndCarriesBytecodeForItsPlace(t *testing.T) {
	t.Parallel()
	for _, uv := range []string{"", NoUV} {
		minor := python(t)
		l := mustBuild(t, builder(t, Config{UV: uv}), script(t, minor, "requests==2.32.3"))
		files := contents(t, l)
		pyc := files["python/requests/__pycache__/__init__.cpython-"+strings.ReplaceAll(minor, ".", "")+".pyc"]
		if len(pyc) < 16 || pyc[4] != 1 {
			t.Fatalf("the bytecode is missing or not unchecked-hash: % x\n%s", pyc[:min(16, len(pyc))], l.Log)
		}
		if !strings.Contains(pyc, "/opt/python/requests/__init__.py") {
			t.Error("the bytecode does not know its place in /opt/python")
		}
		for name := range files {
			if !strings.HasPrefix(name, "python/") || strings.HasSuffix(name, "/INSTALLER") || strings.HasSuffix(name, "/.lock") {
				t.Errorf("%s does not belong into a layer", name)
			}
		}
		if _, ok := files["python/requests-2.32.3.dist-info/METADATA"]; !ok {
			t.Error("the package's metadata are missing")
		}
		cmd := exec.Command(interpreters(t)[minor].Path, "-S", "-c", "import requests, importlib.metadata as m; print(requests.__version__, m.version('requests'), len(m.files('requests')) > 20)")
		cmd.Env = []string{"PYTHONPATH=" + unpack(t, l), "PYTHONDONTWRITEBYTECODE=1"}
		if out, err := cmd.CombinedOutput(); string(out) != "2.32.3 2.32.3 True\n" {
			t.Errorf("import: %v %s", err, out)
		}
		if strings.Contains(l.Log, "/") {
			t.Errorf("the log names folders of this machine: %s", l.Log)
		}
		if l.UnpackedBytes < 1<<20 || l.Cached || !strings.Contains(l.Log, "requests") {
			t.Errorf("layer says unpacked %d, cached %v, log %q", l.UnpackedBytes, l.Cached, l.Log)
		}
	}
}

func TestALayerIsBuiltForTheScriptsProcessor(t *testing.T) {
	t.Parallel()
	for _, uv := range []string{"", NoUV} {
		for arch, tag := range map[string]string{"x86_64": "x86_64", "arm64": "aarch64"} {
			s := script(t, python(t), "markupsafe==3.0.2")
			s.Arch = arch
			built := ""
			for name := range contents(t, mustBuild(t, builder(t, Config{UV: uv}), s)) {
				if strings.HasSuffix(name, ".so") {
					built += name
				}
			}
			if !strings.Contains(built, tag) {
				t.Errorf("for %s the layer has %q", arch, built)
			}
		}
	}
}

func TestTwoBuildsAreByteEqualWhateverTheInstaller(t *testing.T) {
	t.Parallel()
	for minor, reqs := range map[string][]string{
		python(t): {"idna==3.10", "charset-normalizer==3.4.0", "six==1.17.0"},
		"3.9":     {"charset-normalizer==3.4.0"}, // compiled in one process: see parallelFrom
	} {
		if _, ok := interpreters(t)[minor]; !ok {
			t.Fatalf("Python %s is needed: run make setup", minor)
		}
		s := script(t, minor, reqs...)
		first := mustBuild(t, builder(t, Config{}), s)
		second := mustBuild(t, builder(t, Config{}), s)
		pip := mustBuild(t, builder(t, Config{UV: NoUV}), s)
		if first.SHA256 != second.SHA256 || !bytes.Equal(first.Zip, second.Zip) {
			t.Errorf("two builds for %s differ: %s", minor, difference(contents(t, first), contents(t, second)))
		}
		if first.SHA256 != pip.SHA256 {
			t.Errorf("uv's and pip's layer for %s differ: %s", minor, difference(contents(t, first), contents(t, pip)))
		}
	}
}

func difference(a, b map[string]string) string {
	var names []string
	for name, content := range a {
		if b[name] != content {
			names = append(names, fmt.Sprintf("%s (%d and %d bytes)", name, len(content), len(b[name])))
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name+" (new)")
		}
	}
	return strings.Join(names, ", ")
}

func TestTheSettingsOfThisMachineDoNotChangeALayer(t *testing.T) {
	s := script(t, python(t), "six==1.17.0")
	plain := mustBuild(t, builder(t, Config{}), s)
	t.Setenv("PYTHONDONTWRITEBYTECODE", "1")
	t.Setenv("PYTHONPATH", t.TempDir())
	t.Setenv("PIP_FIND_LINKS", t.TempDir())
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_CONSTRAINT", "/nowhere")
	t.Setenv("UV_CONSTRAINT", "/nowhere")
	t.Setenv("UV_NO_INDEX", "1")
	for _, uv := range []string{"", NoUV} {
		if odd := mustBuild(t, builder(t, Config{UV: uv}), s); odd.SHA256 != plain.SHA256 {
			t.Errorf("layer differs: %s", difference(contents(t, plain), contents(t, odd)))
		}
	}
}

func TestWithoutItsPythonALayerHasNoBytecodeAndSaysSo(t *testing.T) {
	t.Parallel()
	all := interpreters(t)
	minor := python(t)
	some := interpreter.Set{}
	for m, i := range all {
		if m != minor {
			some[m] = i
		}
	}
	b, err := New(Config{CacheDir: t.TempDir(), UV: uvPath(t)}, Deps{Interpreters: some})
	if err != nil {
		t.Fatal(err)
	}
	l := mustBuild(t, b, script(t, minor, "six==1.17.0"))
	for name := range contents(t, l) {
		if strings.HasSuffix(name, ".pyc") {
			t.Errorf("there is %s", name)
		}
	}
	if !strings.Contains(l.Log, "bytecode left out") {
		t.Errorf("log says nothing of it: %s", l.Log)
	}
}

func TestProgressHearsTheLogAsItComes(t *testing.T) {
	t.Parallel()
	var heard []string
	b, err := New(Config{CacheDir: t.TempDir(), UV: uvPath(t)}, Deps{Interpreters: interpreters(t), Progress: func(_ run.EnvHash, line string) { heard = append(heard, line) }})
	if err != nil {
		t.Fatal(err)
	}
	l := mustBuild(t, b, script(t, python(t), "six==1.17.0"))
	if strings.Join(heard, "\n") != l.Log || len(heard) < 2 {
		t.Errorf("heard %q, log %q", heard, l.Log)
	}
}

func BenchmarkRequestsCold(b *testing.B) {
	for b.Loop() {
		mustBuild(b, builder(b, Config{}), script(b, python(b), "requests==2.32.3"))
	}
}

func TestBuildsMayShareTheirDownloads(t *testing.T) {
	t.Parallel()
	downloads := t.TempDir()
	s := script(t, python(t), "six==1.17.0")
	first := mustBuild(t, builder(t, Config{Downloads: downloads}), s)
	second := mustBuild(t, builder(t, Config{Downloads: downloads}), s)
	if first.SHA256 != second.SHA256 || strings.Contains(first.Log+second.Log, downloads) {
		t.Errorf("layers differ, or the log names a folder: %s", second.Log)
	}
}

func BenchmarkRequestsSharedDownloads(b *testing.B) {
	downloads := b.TempDir()
	for b.Loop() {
		mustBuild(b, builder(b, Config{Downloads: downloads}), script(b, python(b), "requests==2.32.3"))
	}
}

func BenchmarkRequestsKept(b *testing.B) {
	built := builder(b, Config{})
	s := script(b, python(b), "requests==2.32.3")
	mustBuild(b, built, s)
	for b.Loop() {
		mustBuild(b, built, s)
	}
}
