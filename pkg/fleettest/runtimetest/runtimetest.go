// Package runtimetest packs an interpreter of this machine as the ZIP of a custom
// runtime.
package runtimetest

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// Entry is a file of a ZIP, or a link.
type Entry struct {
	Name string
	Body []byte
	Mode fs.FileMode
}

// Zip packs entries.
func Zip(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	deflate, err := flate.NewWriter(nil, flate.BestSpeed) // one for all: it is large
	if err != nil {
		t.Fatal(err)
	}
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		deflate.Reset(out)
		return deflate, nil
	})
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.Name, Method: zip.Deflate}
		h.SetMode(e.Mode)
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = f.Write(e.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// pack is a program that packs a folder and the standard library: in Go, with the
// race detector, it would take many seconds.
const pack = `import os, sys, zipfile
out, root, library, minor = sys.argv[1:]
unneeded = set("test tests __pycache__ site-packages dist-packages idlelib tkinter lib2to3 ensurepip turtledemo pydoc_data unittest distutils sqlite3 xml wsgiref curses dbm lib-dynload".split())
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
    link = zipfile.ZipInfo("bin/python3")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    z.writestr(link, "python" + minor)
    for top, within in (root, ""), (library, "lib/python" + minor):
        for folder, folders, files in os.walk(top):
            folders[:] = [f for f in folders if f not in unneeded and not f.startswith("config-") or top == root]
            for f in files:
                path = os.path.join(folder, f)
                if top == root or f.endswith(".py"):
                    z.write(path, os.path.join(within, os.path.relpath(path, top)))
`

// Mark is the content of lib/mark in each ZIP of Python: a script that can read it
// below sys.prefix has that interpreter.
const Mark = "an interpreter of the operator's"

// Python packs an interpreter, with as much of its standard library as the
// handler needs, and returns the ZIP's file and the version, such as 3.13.
func Python(t testing.TB) (file, minor string) {
	t.Helper()
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	python, _ := set.For("3.13")
	if python.Path == "" {
		python, _ = set.Newest()
	}
	root, library := t.TempDir(), filepath.Join(python.Prefix, "lib", "python"+python.Minor)
	put := func(name string, body []byte) {
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, body, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	put("lib/mark", []byte(Mark))
	put("bin/python"+python.Minor, portable(t, read(t, python.Path)))
	shared, _ := filepath.Glob(filepath.Join(python.Prefix, "lib", "libpython"+python.Minor+".so.*"))
	for _, f := range shared {
		put("lib/"+filepath.Base(f), portable(t, read(t, f)))
	}
	modules, _ := filepath.Glob(filepath.Join(library, "lib-dynload", "*.so"))
	for _, f := range modules {
		if !strings.Contains(f, "test") {
			put("lib/python"+python.Minor+"/lib-dynload/"+filepath.Base(f), portable(t, read(t, f)))
		}
	}
	file = filepath.Join(t.TempDir(), "python.zip")
	if out, err := exec.CommandContext(t.Context(), python.Path, "-c", pack, file, root, library, python.Minor).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file, python.Minor
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// portable has a program that was built on a machine with a newer C library than
// Lambda's ask for the oldest version of the same functions: a build for Lambda
// would have come out so. It has no symbols for a debugger.
func portable(t testing.TB, data []byte) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return data
	}
	for _, s := range f.Sections {
		if strings.HasPrefix(s.Name, ".debug") && s.Type == elf.SHT_PROGBITS {
			clear(data[s.Offset:][:s.FileSize]) // most of the file, and quickly packed so
		}
	}
	needs, names := f.Section(".gnu.version_r"), f.Section(".dynstr")
	if needs == nil || names == nil {
		return data
	}
	order, name := f.ByteOrder, func(at uint32) string {
		text, _, _ := bytes.Cut(data[names.Offset+uint64(at):], []byte{0})
		return string(text)
	}
	for at, more := needs.Offset, true; more; {
		count, first, next := order.Uint16(data[at+2:]), order.Uint32(data[at+8:]), order.Uint32(data[at+12:])
		versions := make([]uint64, 0, count)
		for v := at + uint64(first); len(versions) < int(count); v += uint64(order.Uint32(data[v+12:])) {
			versions = append(versions, v)
		}
		minor := func(v uint64) int { return minorOf(name(order.Uint32(data[v+8:]))) }
		oldest := slices.MinFunc(versions, func(a, b uint64) int { return minor(a) - minor(b) })
		for _, v := range versions {
			if minor(v) > 34 {
				copy(data[v:v+4], data[oldest:oldest+4])       // hash
				copy(data[v+8:v+12], data[oldest+8:oldest+12]) // name
			}
		}
		at, more = at+uint64(next), next != 0
	}
	return data
}

func minorOf(version string) int {
	rest, _ := strings.CutPrefix(version, "GLIBC_2.")
	minor := 0
	for _, digit := range rest {
		if digit < '0' || digit > '9' {
			break
		}
		minor = 10*minor + int(digit-'0')
	}
	return minor
}
