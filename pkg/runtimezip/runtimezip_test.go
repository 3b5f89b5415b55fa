package runtimezip_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/memstore"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/runtimetest"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/runtimezip"
)

var here = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]

func TestAProgramForAnotherProcessorIsRefused(t *testing.T) {
	other := map[string]string{"x86_64": "arm64", "arm64": "x86_64"}[here]
	if _, err := runtimezip.Check(runtimetest.Zip(t, least()...), other); err == nil || !strings.Contains(err.Error(), `the entry "bin/python3.13" is for the processor `) {
		t.Errorf("for %s: %v", other, err)
	}
}

func TestAProgramForANewerCLibraryIsRefused(t *testing.T) {
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	python, _ := set.Newest()
	program, err := os.ReadFile(python.Path)
	if err != nil {
		t.Fatal(err)
	}
	newer := regexp.MustCompile(`GLIBC_2\.[0-9]{2}\x00`).ReplaceAll(program, []byte("GLIBC_2.99\x00"))
	_, err = runtimezip.Check(runtimetest.Zip(t, append(least(), file("lib/newer.so", string(newer)))...), here)
	if err == nil || !strings.Contains(err.Error(), `the entry "lib/newer.so" needs glibc 2.99, and Amazon Linux 2023 has 2.34`) {
		t.Error(err)
	}
}

func file(name, body string) runtimetest.Entry {
	return runtimetest.Entry{Name: name, Body: []byte(body), Mode: 0o755}
}

func link(name, target string) runtimetest.Entry {
	return runtimetest.Entry{Name: name, Body: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

// program is the head of an ELF file for this machine, without sections.
func program() string {
	var out bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: map[string]uint16{"x86_64": uint16(elf.EM_X86_64), "arm64": uint16(elf.EM_AARCH64)}[here], Version: 1, Ehsize: 64, Shentsize: 64, Phentsize: 56}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	_ = binary.Write(&out, binary.LittleEndian, h)
	return out.String()
}

// least is the smallest runtime.
func least() []runtimetest.Entry {
	return []runtimetest.Entry{link("bin/python3", "python3.13"), file("bin/python3.13", program()), file("lib/python3.13/os.py", "")}
}

func TestWhatWouldFailOnLambdaIsRefused(t *testing.T) {
	if rt, err := runtimezip.Check(runtimetest.Zip(t, least()...), here); err != nil || rt.Python != "3.13" {
		t.Fatalf("the smallest runtime: %+v, %v", rt, err)
	}
	many := slices.Repeat([]runtimetest.Entry{file("lib/x", "")}, runtimezip.MaxEntries+1)
	big, zeros := []runtimetest.Entry(nil), make([]byte, 50<<20)
	for _, name := range []string{"lib/a", "lib/b", "lib/c", "lib/d", "lib/e"} {
		big = append(big, runtimetest.Entry{Name: name, Body: zeros, Mode: 0o644})
	}
	with := func(more ...runtimetest.Entry) []runtimetest.Entry { return append(least(), more...) }
	for _, c := range []struct {
		zip  []runtimetest.Entry
		says []string
	}{
		{nil, []string{"no bin/python3"}},
		{least()[:2], []string{"lib/python3.X/os.py"}},
		{with(file("lib/python3.12/os.py", "")), []string{"Python 3.12 and 3.13"}},
		{append(least()[:2], file("lib/python3.7/os.py", "")), []string{"Python 3.7", "3.8 or later"}},
		{[]runtimetest.Entry{file("bin/python3", "#!/bin/sh\n"), least()[2]}, []string{"bin/python3 is no program"}},
		{[]runtimetest.Entry{{Name: "bin/python3", Body: []byte(program()), Mode: 0o644}, least()[2]}, []string{"bin/python3 is not executable"}},
		{with(file("lib/broken.so", elf.ELFMAG+"x")), []string{`"lib/broken.so"`, "damaged program"}},
		{with(file("../evil", "")), []string{`"../evil"`, "leads out"}},
		{with(file("/etc/evil", "")), []string{`"/etc/evil"`, "leads out"}},
		{with(file("a/../../evil", "")), []string{`"a/../../evil"`, "leads out"}},
		{with(file(`lib\evil`, "")), []string{"leads out"}},
		{with(link("lib/evil", "/etc/passwd")), []string{`"lib/evil"`, "/etc/passwd", "outside"}},
		{with(link("lib/evil", "../../etc/passwd")), []string{`"lib/evil"`, "outside"}},
		{with(link("lib/here", "."), link("lib/evil", "here/../..")), []string{`"lib/evil"`, "outside"}},
		{with(link("lib/here", ".."), link("lib/evil", "here/../x")), []string{`"lib/evil"`, "outside"}},
		{with(link("lib/a", "b"), link("lib/b", "a")), []string{"more than 40 links"}},
		{with(link("lib/to", "../bin"), file("lib/to/x", "")), []string{`"lib/to/x"`, `"lib/to"`, "no folder"}},
		{with(file("lib/x", ""), file("lib/x/y", "")), []string{`"lib/x/y"`, "no folder"}},
		{with(file("lib/x", ""), file("lib/x", "")), []string{`"lib/x"`, "twice"}},
		{with(file("bootstrap", "")), []string{`"bootstrap"`, "scriptfleet's own"}},
		{with(file("python/x.py", "")), []string{`"python/x.py"`, "scriptfleet's own"}},
		{with(runtimetest.Entry{Name: "lib/pipe", Mode: fs.ModeNamedPipe | 0o644}), []string{`"lib/pipe"`, "neither"}},
		{many, []string{"100001 entries", "100000 at most"}},
		{with(big...), []string{`"lib/e"`, "248 MiB"}},
	} {
		_, err := runtimezip.Check(runtimetest.Zip(t, c.zip...), here)
		for _, says := range c.says {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("the error is %v, without %q", err, says)
			}
		}
	}
	if _, err := runtimezip.Check([]byte("no zip"), here); err == nil || !strings.Contains(err.Error(), "no ZIP file") {
		t.Errorf("no ZIP: %v", err)
	}
}

func TestAnEntryIsReadWholeAndAsItWasPacked(t *testing.T) {
	data := runtimetest.Zip(t, append(least(), file("lib/text", strings.Repeat("text", 1000)))...)
	for at := range data { // a byte of any entry, or of the directory
		damaged := slices.Clone(data)
		damaged[at] ^= 0x55
		if rt, err := runtimezip.Check(damaged, here); err == nil && rt.Python != "3.13" {
			t.Fatalf("with byte %d changed it is %+v", at, rt)
		}
	}
}

func TestAZipIsKeptUnderItsDigest(t *testing.T) {
	data := runtimetest.Zip(t, least()...)
	rt, err := runtimezip.Check(data, here)
	if err != nil {
		t.Fatal(err)
	}
	store := memstore.New("bucket")
	layers := runtimezip.Layers{Zips: runtimezip.Zips{Store: store, Prefix: "fleet"}}
	s := run.Script{Runtime: run.Runtime{Name: "own", Zip: rt.SHA256}}
	refused := func(what, says string) {
		t.Helper()
		_, _, _, err := layers.Build(t.Context(), s)
		var e *run.Error
		if !errors.As(err, &e) || e.Type != runtimezip.RuntimeUnavailable || e.Owner != run.OwnerOperator || !strings.Contains(e.Message, says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("before", "fleet/runtimes/"+rt.SHA256+".zip")
	if err := layers.Put(t.Context(), rt, data); err != nil {
		t.Fatal(err)
	}
	if got, _, _, err := layers.Build(t.Context(), s); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
	}
	if err := store.Put(t.Context(), "fleet/runtimes/"+rt.SHA256+".zip", []byte("another")); err != nil {
		t.Fatal(err)
	}
	refused("another one under its digest", "not the one that was added")
	layers.Store = nil
	refused("without a bucket", "SCRIPTFLEET_BUCKET")
}

func FuzzCheck(f *testing.F) {
	f.Add(runtimetest.Zip(f, least()...))
	f.Add(runtimetest.Zip(f, link("bin/python3", "../lib/../bin/python3")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := runtimezip.Check(data, here); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
