package layer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// file is a file of a layer, on disk or in memory.
type file struct {
	name       string // relative to python/, with slashes
	path       string // on disk; empty where content is set
	content    []byte
	size       int64
	executable bool
}

// tree is the files of a layer, sorted by name.
type tree []file

// notOurs are files that describe the installation, not the package. They
// differ between installers and between builds.
var notOurs = []string{"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}

const distInfo = ".dist-info"

// notForRuns are folders that nothing in a run reads. Those of awscli are for
// its help pages: two thirds of the files of an aws-cli layer.
var notForRuns = []string{"awscli/examples/", "awscli/topics/"}

func forNoRun(name string) bool {
	return slices.ContainsFunc(notForRuns, func(folder string) bool { return strings.HasPrefix(name, folder) })
}

// readTree reads the installed files as the layer's. Files that differ between
// builds are left out or rewritten, so that the same wheels make the same layer
// with either installer.
func readTree(root string) (tree, error) {
	var t tree
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f, keep, err := readFile(p, filepath.ToSlash(rel), d)
		if keep {
			t = append(t, f)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read installed files: %w", err)
	}
	slices.SortFunc(t, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return t, nil
}

func readFile(p, name string, d fs.DirEntry) (f file, keep bool, err error) {
	info, err := d.Info()
	if err != nil {
		return file{}, false, err
	}
	if !info.Mode().IsRegular() {
		return file{}, false, fmt.Errorf("%s is no regular file", name) // a wheel has no links or devices
	}
	dir, base := path.Split(name)
	inDist := strings.HasSuffix(strings.TrimSuffix(dir, "/"), distInfo)
	f = file{name: name, path: p, size: info.Size(), executable: info.Mode()&0o100 != 0}
	switch {
	case forNoRun(name):
		return file{}, false, nil
	case name == ".lock", inDist && slices.Contains(notOurs, base):
		return file{}, false, nil
	case inDist && base == "RECORD":
		f.content, err = stableRecord(p)
	case dir == "bin/":
		f.content, err = stableScript(p)
		f.executable = true
	}
	if f.content != nil {
		f.path, f.size = "", int64(len(f.content))
	}
	return f, true, err
}

// stableRecord is a wheel's RECORD without the lines that differ between
// builds, sorted.
func stableRecord(p string) ([]byte, error) {
	data, err := os.ReadFile(p)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(filepath.Dir(p))+"/RECORD", err)
	}
	rows = slices.DeleteFunc(rows, func(row []string) bool {
		name := filepath.ToSlash(row[0])
		dir, base := path.Split(name)
		return strings.HasPrefix(name, "../") || strings.HasPrefix(name, "bin/") || path.IsAbs(name) ||
			strings.HasSuffix(name, ".pyc") || forNoRun(name) ||
			strings.HasSuffix(strings.TrimSuffix(dir, "/"), distInfo) && slices.Contains(notOurs, base)
	})
	slices.SortFunc(rows, slices.Compare)
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// stableScript rewrites a package's command to run from a layer: the installer
// has written the path of its own Python into it, each in its own wording. It
// returns nil for a program that is not a Python script; such a program stays
// unchanged.
func stableScript(p string) ([]byte, error) {
	data, err := os.ReadFile(p)
	if err != nil || !bytes.HasPrefix(data, []byte("#!")) {
		return nil, err
	}
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	if bytes.HasPrefix(rest, []byte("'''exec' ")) { // the form for long paths
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	} else if !bytes.Contains(first, []byte("python")) {
		return nil, nil
	}
	if entry, ok := entryPoint(rest); ok {
		rest = []byte(entry)
	}
	return append([]byte("#!/usr/bin/env python3\n"), rest...), nil
}

// entryPoint rewrites a generated starter to an import and a call.
func entryPoint(script []byte) (string, bool) {
	var load, call string
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "from ") && strings.Contains(line, " import "):
			if load != "" {
				return "", false
			}
			load = line
		case strings.HasPrefix(line, "sys.exit(") && strings.HasSuffix(line, "())"):
			call = line
		case !slices.ContainsFunc(starterLines, func(s string) bool { return strings.HasPrefix(line, s) }):
			return "", false
		}
	}
	if load == "" || call == "" {
		return "", false
	}
	return "import sys\n" + load + "\nif __name__ == \"__main__\":\n    " + call + "\n", true
}

// starterLines begin the lines of a generated starter of pip or uv, besides its
// import and its call.
var starterLines = []string{"# -*- coding", "import re", "import sys", "if __name__ ==", "if sys.argv[0].endswith(", "elif sys.argv[0].endswith(", "sys.argv[0] ="}

func (t tree) bytes() (n int64) {
	for _, f := range t {
		n += f.size
	}
	return n
}

// dropBytecode removes the bytecode of wheels: it may be for another version of
// Python, or contain times.
func dropBytecode(root string) error {
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "__pycache__":
			if err := os.RemoveAll(p); err != nil {
				return err
			}
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop bytecode: %w", err)
	}
	return nil
}

// diskUse is the size in bytes of all files below dir. Files that disappear
// meanwhile are not counted.
func diskUse(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}
