package function

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestPackMakesTheSameBytesOfTheSameScript(t *testing.T) {
	set := interpreters(t)
	newest, _ := set.Newest()
	s := run.Script{Source: "def main(input): return input in {'a', 'b', 'c', 'd', 'e', 'f'}\r\n\t# é", Runtime: run.Runtime{Python: newest.Minor}}
	for _, p := range []Packager{{}, {Interpreters: set}} {
		first, err := p.Pack(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := p.Pack(context.Background(), s)
		if !bytes.Equal(first, again) {
			t.Error("two zips of one script differ")
		}
	}
}

func TestPackLeavesTheAuthorsBytesAsTheyAre(t *testing.T) {
	s := run.Script{Source: "def main(input): pass\r\n\t# é"}
	body, err := Packager{}.Pack(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	files := unzip(t, body)
	if files["script.py"] != s.Source {
		t.Errorf("script.py is %q, not the author's bytes", files["script.py"])
	}
	handler := modules(handlerFiles(), s)
	for _, f := range handler {
		if files[f.name] != string(f.body) {
			t.Errorf("%s is not the handler's", f.name)
		}
	}
	if len(files) != 2+len(handler) {
		t.Errorf("the zip holds %d files", len(files))
	}
}

// On Lambda a function's folder cannot be written to: bytecode that is not in
// the zip is made again by every cold start.
func TestFunctionsAreImportedFromBytecode(t *testing.T) {
	set := interpreters(t)
	for minor, python := range set {
		body, err := Packager{Interpreters: set}.Pack(context.Background(),
			run.Script{Source: "def main(input): return 1\n", Runtime: run.Runtime{Python: minor}})
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		for name, text := range unzip(t, body) {
			write(t, filepath.Join(folder, name), text)
		}
		// A source that cannot be compiled shows which of the two was imported.
		write(t, filepath.Join(folder, pythonFile), "(")
		for _, f := range handlerFiles() {
			write(t, filepath.Join(folder, f.name), "(")
		}
		h := startHarness(t, minor, python.Path)
		r := h.run(t, folder, 10000, []Call{{}})
		if o := Read(r.invocation(0), run.Script{}); o.Status != run.Succeeded {
			t.Errorf("Python %s: %+v\n%+v", minor, o.Error, r)
		}
	}
}

func TestPackPutsCommandsIntoAFileOfTheirOwn(t *testing.T) {
	body, err := Packager{}.Pack(context.Background(), run.Script{Source: "aws s3 ls", Runtime: run.Runtime{Shell: true}})
	if err != nil {
		t.Fatal(err)
	}
	if files := unzip(t, body); files["script.sh"] != "aws s3 ls" {
		t.Errorf("the zip holds %v", files)
	}
}

func unzip(t testing.TB, body []byte) map[string]string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
		want := fs.FileMode(0o644)
		if f.Name == bootstrapFile {
			want = 0o755
		}
		if f.Mode().Perm() != want {
			t.Errorf("%s has mode %s, and Lambda's user could not read or start it", f.Name, f.Mode())
		}
	}
	return files
}

func TestPackRefusesWhatTheRuntimesOwnPythonCannotCompile(t *testing.T) {
	set := interpreters(t)
	minors := set.Minors()
	for _, minor := range []string{minors[0], minors[len(minors)-1]} {
		for source, says := range map[string]string{
			"def main(input:\n  pass\n":                 "script.py, line",
			"x = 1\n  y = 2\n":                          "IndentationError",
			"x = 'a\x00b'\n":                            "null byte",
			"x = " + strings.Repeat("(", 100000) + "\n": "",
			"# -*- coding: nonsense -*-\n":              "nonsense",
			"print 'hello'\n":                           "line 1",
		} {
			err := pack(Packager{Interpreters: set}, minor, source)
			var e *run.Error
			if !errors.As(err, &e) || e.Type != "SyntaxError" || e.Owner != run.OwnerAuthor || !strings.Contains(e.Message, says) {
				t.Errorf("Python %s on %.20q: %v, want a SyntaxError that says %q", minor, source, err, says)
			}
		}
		for _, source := range []string{"def main(input): pass\n", "raise SystemExit\n", "\ufeffx = 'é'\r\n", "# coding: latin-1\nx = 1\n", "x = '\\d'\n"} {
			if err := pack(Packager{Interpreters: set}, minor, source); err != nil {
				t.Errorf("Python %s on %q: %v", minor, source, err)
			}
		}
	}
}

func TestPackShowsWhereTheSyntaxErrorIs(t *testing.T) {
	newest, _ := interpreters(t).Newest()
	err := pack(Packager{Interpreters: interpreters(t)}, newest.Minor, "def main(input):\n    return 1 +\n")
	var e *run.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if want := "  File \"script.py\", line 2\n    return 1 +\n              ^\n"; e.Traceback != want {
		t.Errorf("traceback %q, want %q", e.Traceback, want)
	}
}

func TestPackLeavesTheCheckToTheImportWithoutTheRuntimesPython(t *testing.T) {
	for _, set := range []interpreter.Set{nil, {"3.13": {Path: "/no/such/python", Minor: "3.13"}}} {
		if err := pack(Packager{Interpreters: set}, "3.13", "def main(input:\n"); err != nil {
			t.Errorf("with %v: %v", set, err)
		}
	}
}

func TestPackEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	newest, _ := interpreters(t).Newest()
	p := Packager{Interpreters: interpreters(t)}
	_, err := p.Pack(ctx, run.Script{Source: "def main(", Runtime: run.Runtime{Python: newest.Minor}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}

func pack(p Packager, minor, source string) error {
	_, err := p.Pack(context.Background(), run.Script{Source: source, Runtime: run.Runtime{Python: minor}})
	return err
}

func BenchmarkPack(b *testing.B) {
	newest, _ := interpreters(b).Newest()
	p := Packager{Interpreters: interpreters(b)}
	for b.Loop() {
		if err := pack(p, newest.Minor, "def main(input): return input\n"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPackFirst is the first pack of a process, which compiles the handler.
func BenchmarkPackFirst(b *testing.B) {
	newest, _ := interpreters(b).Newest()
	p := Packager{Interpreters: interpreters(b)}
	for b.Loop() {
		handlers.Clear()
		if err := pack(p, newest.Minor, "def main(input): return input\n"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTheHandlersVersionChangesWithWhatAFunctionHolds(t *testing.T) {
	files := contents(run.Script{})
	version := versionOf(files)
	if versionOf(contents(run.Script{})) != version {
		t.Error("the same files have two versions")
	}
	for i := range files {
		for _, changed := range []file{{name: files[i].name + "x", body: files[i].body}, {name: files[i].name, body: append([]byte("x"), files[i].body...)}} {
			other := slices.Clone(files)
			if other[i] = changed; versionOf(other) == version {
				t.Errorf("a change of %s is none of the version", files[i].name)
			}
		}
	}
	if versionOf(files[1:]) == version {
		t.Error("a file that is missing is none of the version")
	}
}
