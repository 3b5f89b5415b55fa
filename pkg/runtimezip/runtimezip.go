// Package runtimezip checks the ZIP of a custom runtime: a Python interpreter
// that runs below /opt on Lambda's provided.al2023, with scriptfleet's handler.
//
// The ZIP has bin/python3, which may be a link, and the standard library in
// lib/python3.X. Everything else that the interpreter needs at run time is in
// it too, such as shared libraries in lib, which the linker finds there. It is
// relocatable: it does not matter where it was installed when it was made.
//
// What is checked is what fails on Lambda and would show only there: sizes,
// layout, links and paths that lead outside, the processor, and the version of
// the C library. That the interpreter works is shown by the first run.
package runtimezip

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/glibc"
)

// Limits of a ZIP. Lambda allows 250 MB, unpacked, for a function and its layers
// together; 2 MiB of them are for the function's own code.
const (
	MaxUnpackedBytes = 250<<20 - 2<<20
	MaxEntries       = 100_000

	oldestMinor = 8    // of Python 3, which the handler needs
	maxLink     = 4096 // bytes of a link's target, as Linux has it
)

// Platform is the newest wheel platform of Amazon Linux 2023, whose C library is
// glibc 2.34.
const Platform = "manylinux_2_34"

// Runtime is what a ZIP holds.
type Runtime struct {
	SHA256        string // of the ZIP, in hexadecimal
	Python        string // version of its interpreter, such as 3.13
	UnpackedBytes int64
	Entries       int
}

// machines are the processors in ELF's numbers, by Lambda's names.
var machines = map[string]elf.Machine{"x86_64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// Check reads a ZIP for the processor arch, x86_64 or arm64. Its error names the
// entry at fault and says what to do.
func Check(data []byte, arch string) (Runtime, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Runtime{}, fmt.Errorf("it is no ZIP file (%w): pack bin and lib with zip --symlinks -r", err)
	}
	sum := sha256.Sum256(data)
	rt := Runtime{SHA256: hex.EncodeToString(sum[:]), Entries: len(r.File)}
	if rt.Entries > MaxEntries {
		return Runtime{}, fmt.Errorf("it has %d entries, and a runtime has %d at most: leave out tests, documentation and __pycache__", rt.Entries, MaxEntries)
	}
	for _, f := range r.File { // before anything is unpacked
		if rt.UnpackedBytes += int64(min(f.UncompressedSize64, 1<<40)); rt.UnpackedBytes > MaxUnpackedBytes {
			return Runtime{}, fmt.Errorf("with %q it has more than %d MiB, unpacked, which is all that Lambda takes: leave out tests, documentation, static libraries and packages", f.Name, MaxUnpackedBytes>>20)
		}
	}
	t := tree{files: map[string]*zip.File{}, links: map[string]string{}, arch: arch}
	for _, f := range r.File {
		if err := t.add(f); err != nil {
			return Runtime{}, err
		}
	}
	if err := t.checkLinks(); err != nil {
		return Runtime{}, err
	}
	rt.Python, err = t.python()
	return rt, err
}

// tree is the files and links of a ZIP.
type tree struct {
	files map[string]*zip.File
	links map[string]string // targets
	arch  string
}

// add checks one entry and takes it up.
func (t tree) add(f *zip.File) error {
	name := strings.TrimSuffix(f.Name, "/")
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") {
		return fmt.Errorf("the entry %q leads out of it or has no plain path: pack it from within its folder, as in cd python && zip --symlinks -r ../python.zip bin lib", f.Name)
	}
	switch top, _, _ := strings.Cut(name, "/"); top {
	case "bootstrap", "python":
		return fmt.Errorf("the entry %q has a place that is scriptfleet's own: leave out what is called %s at its top", f.Name, top)
	}
	if strings.HasSuffix(f.Name, "/") {
		return nil
	}
	if t.has(name) {
		return fmt.Errorf("the entry %q is there twice: leave one", f.Name)
	}
	switch f.Mode().Type() {
	case 0:
		t.files[name] = f
		return t.checkProgram(f)
	case fs.ModeSymlink:
		target, err := read(f, maxLink)
		t.links[name] = string(target)
		return err
	}
	return fmt.Errorf("the entry %q is neither a file, a folder nor a link: leave it out", f.Name)
}

func (t tree) has(name string) bool {
	_, link := t.links[name]
	return link || t.files[name] != nil
}

// read reads an entry, and checks that it has the size and the checksum that the
// ZIP's directory says.
func read(f *zip.File, most uint64) ([]byte, error) {
	if f.UncompressedSize64 > most {
		return nil, fmt.Errorf("the entry %q has %d bytes, and %d are the most: pack it anew", f.Name, f.UncompressedSize64, most)
	}
	in, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("the entry %q cannot be read (%w): pack it with zip, without a password", f.Name, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("the entry %q is damaged (%w): pack it anew", f.Name, err)
	}
	if uint64(len(data)) != f.UncompressedSize64 {
		return nil, fmt.Errorf("the entry %q is damaged (%d of %d bytes): pack it anew", f.Name, len(data), f.UncompressedSize64)
	}
	return data, nil
}

// checkProgram checks a program's or a library's processor and C library.
func (t tree) checkProgram(f *zip.File) error {
	data, err := read(f, MaxUnpackedBytes)
	if err != nil || !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return err
	}
	program, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("the entry %q is a damaged program (%w): pack it anew", f.Name, err)
	}
	if want := machines[t.arch]; program.Machine != want {
		return fmt.Errorf("the entry %q is for the processor %s, and the fleet's functions have %s (%s): build Python for that, or change --arch", f.Name, program.Machine, want, t.arch)
	}
	if need, has := glibc.Newest(bytes.NewReader(data)), glibc.Of(Platform); need > has {
		return fmt.Errorf("the entry %q needs glibc 2.%d, and Amazon Linux 2023 has 2.%d: build Python on Amazon Linux 2023, or take a portable build, such as uv python install fetches", f.Name, need, has)
	}
	return nil
}

// checkLinks fails if a link leads out of the ZIP, or an entry is below a link or
// a file: whoever unpacks that would write elsewhere.
func (t tree) checkLinks() error {
	for _, name := range sorted(t.links) {
		if _, err := t.resolve(name); err != nil {
			return err
		}
	}
	for _, all := range [][]string{sorted(t.files), sorted(t.links)} {
		for _, name := range all {
			for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
				if t.has(dir) {
					return fmt.Errorf("the entry %q is below %q, which is no folder: pack it anew", name, dir)
				}
			}
		}
	}
	return nil
}

// maxLinks is how many links Linux follows for one path.
const maxLinks = 40

// resolve follows links from a path to a file or folder, within the ZIP.
func (t tree) resolve(name string) (string, error) {
	at := name
	for range maxLinks {
		link, target, ok := t.firstLink(at)
		if !ok {
			return at, nil
		}
		next := path.Join(path.Dir(link), target)
		// A .. behind another name could climb from where a link there leads.
		if path.IsAbs(target) || !fs.ValidPath(next) || path.Clean(target) != strings.TrimSuffix(target, "/") {
			return "", fmt.Errorf("the link %q leads to %q, outside of it: make it a plain relative link to an entry, or a copy", link, target)
		}
		at = path.Join(next, strings.TrimPrefix(at, link))
	}
	return "", fmt.Errorf("the link %q leads through more than %d links: make it a link to a file", name, maxLinks)
}

// firstLink is the first part of a path that is a link.
func (t tree) firstLink(name string) (link, target string, ok bool) {
	for end := range len(name) + 1 {
		if end == len(name) || name[end] == '/' {
			if target, ok := t.links[name[:end]]; ok {
				return name[:end], target, true
			}
		}
	}
	return "", "", false
}

var library = regexp.MustCompile(`^lib/python3\.([0-9]{1,3})/os\.pyc?$`)

// python checks the layout and returns the interpreter's version.
func (t tree) python() (string, error) {
	const program = "bin/python3"
	at, err := t.resolve(program)
	if err != nil {
		return "", err
	}
	f := t.files[at]
	switch {
	case f == nil:
		return "", fmt.Errorf("it has no %s: pack Python's own bin and lib, so that bin/python3 is at its top", program)
	case f.Mode()&0o111 == 0:
		return "", fmt.Errorf("%s is not executable: pack it with a program that keeps modes, such as zip", at)
	}
	if data, err := read(f, MaxUnpackedBytes); err != nil || !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return "", fmt.Errorf("%s is no program for Linux: pack the interpreter itself, not a script that starts it", at)
	}
	var minors []int
	for name := range t.files {
		if m := library.FindStringSubmatch(name); m != nil {
			minor, _ := strconv.Atoi(m[1])
			minors = append(minors, minor)
		}
	}
	slices.Sort(minors)
	minors = slices.Compact(minors)
	switch {
	case len(minors) == 0:
		return "", fmt.Errorf("it has no standard library, lib/python3.X/os.py: pack Python's own lib beside bin")
	case len(minors) > 1:
		return "", fmt.Errorf("it has the standard libraries of Python 3.%d and 3.%d: pack one Python", minors[0], minors[1])
	case minors[0] < oldestMinor:
		return "", fmt.Errorf("it has Python 3.%d, and scriptfleet's handler needs 3.%d or later: pack a newer one", minors[0], oldestMinor)
	}
	return fmt.Sprintf("3.%d", minors[0]), nil
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
