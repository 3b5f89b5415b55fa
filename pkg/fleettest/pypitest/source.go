package pypitest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
)

// Source is a package that exists only as source.
type Source struct {
	Name, Version string
	Files         map[string]string // without the folder in front
}

// File is the file's name.
func (s Source) File() string { return s.stem() + ".tar.gz" }

func (s Source) stem() string { return strings.ReplaceAll(s.Name, "-", "_") + "-" + s.Version }

// Bytes are the file's contents.
func (s Source) Bytes(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for name, content := range s.Files {
		err := archive.WriteHeader(&tar.Header{Name: s.stem() + "/" + name, Mode: 0o644, Size: int64(len(content))})
		if err == nil {
			_, err = archive.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Backend is a source that is its own build backend and needs one package for
// its build, or none. Its Python sets text, which becomes the only module.
func Backend(name, version, needs, python string) Source {
	if needs != "" {
		needs = `"` + needs + `"`
	}
	module := strings.ReplaceAll(name, "-", "_")
	stem := module + "-" + version
	return Source{Name: name, Version: version, Files: map[string]string{
		"pyproject.toml": "[build-system]\nrequires = [" + needs + "]\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
		"PKG-INFO":       "Metadata-Version: 1.0\nName: " + name + "\nVersion: " + version + "\n",
		"backend.py": python + `
import os, zipfile
def build_wheel(out, settings=None, metadata=None):
    info = "` + stem + `.dist-info/"
    files = {"` + module + `.py": text + "\n", info + "WHEEL": "Wheel-Version: 1.0\nGenerator: own\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
             info + "METADATA": "Metadata-Version: 2.1\nName: ` + name + `\nVersion: ` + version + `\n", info + "RECORD": ""}
    files[info + "RECORD"] = "".join(name + ",,\n" for name in files)
    wheel = "` + stem + `-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(out, wheel), "w") as z:
        for name, content in files.items():
            z.writestr(name, content)
    return wheel
`}}
}
