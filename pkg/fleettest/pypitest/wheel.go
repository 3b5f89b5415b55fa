// Package pypitest makes packages and serves them from indexes of a test's own.
package pypitest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// Wheel is a package that runs on any Python.
type Wheel struct {
	Name, Version string
	Files         map[string]string
	Requires      []string
}

// File is the file's name.
func (w Wheel) File() string { return w.stem() + "-py3-none-any.whl" }
func (w Wheel) stem() string { return strings.ReplaceAll(w.Name, "-", "_") + "-" + w.Version }

// Bytes are the file's contents.
func (w Wheel) Bytes(t testing.TB) []byte {
	t.Helper()
	info := w.stem() + ".dist-info/"
	files := maps.Clone(w.Files)
	if files == nil {
		files = map[string]string{}
	}
	files[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
	metadata := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", w.Name, w.Version)
	for _, r := range w.Requires {
		metadata += "Requires-Dist: " + r + "\n"
	}
	files[info+"METADATA"] = metadata
	record := info + "RECORD,,\n"
	for name := range files {
		record += name + ",,\n"
	}
	files[info+"RECORD"] = record
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, content := range files {
		method := zip.Deflate
		if len(content) > 1<<20 {
			method = zip.Store // compression would take long, and only pip downloads it
		}
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = f.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
