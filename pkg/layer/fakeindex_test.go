package layer

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
)

// wheel is a package on a test's own index.
type wheel struct {
	name, version string
	files         map[string]string
	requires      []string
}

func (w wheel) file() string { return w.stem() + "-py3-none-any.whl" }
func (w wheel) stem() string { return strings.ReplaceAll(w.name, "-", "_") + "-" + w.version }

// bytes is the wheel's file.
func (w wheel) bytes(t *testing.T) []byte {
	t.Helper()
	info := w.stem() + ".dist-info/"
	files := maps.Clone(w.files)
	if files == nil {
		files = map[string]string{}
	}
	files[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
	metadata := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", w.name, w.version)
	for _, r := range w.requires {
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

// serve starts an index with the wheels and returns its address.
func serve(t *testing.T, wheels ...wheel) string {
	t.Helper()
	files := map[string][]byte{}
	links := map[string]string{}
	for _, w := range wheels {
		files[w.file()] = w.bytes(t)
		links[w.name] += fmt.Sprintf("<a href=\"/files/%s\">%s</a>\n", w.file(), w.file())
	}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if data, ok := files[path.Base(r.URL.Path)]; ok {
			_, _ = out.Write(data)
			return
		}
		page, ok := links[path.Base(r.URL.Path)]
		if !ok {
			http.NotFound(out, r)
			return
		}
		out.Header().Set("Content-Type", "text/html")
		_, _ = out.Write([]byte("<!DOCTYPE html><html><body>" + page + "</body></html>"))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/simple/"
}
