package lambda

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// FuzzReadCall parses what a script may write to its Runtime API itself.
func FuzzReadCall(f *testing.F) {
	f.Add("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	f.Add("POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{}")
	f.Add("POST /2018-06-01/runtime/invocation/1/error HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		call, err := readCall(bufio.NewReader(strings.NewReader(text)))
		if err == nil && (len(call.body) > len(text) || call.kind > callInitError) {
			t.Errorf("%+v of %q", call, text)
		}
	})
}

// FuzzExchange checks that an environment that answers with any bytes ends its
// own invocation, and no other.
func FuzzExchange(f *testing.F) {
	ask := "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, text := range []string{"", ask, ask + "POST /2018-06-01/runtime/invocation/7/response HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
		ask + ask, ask + "POST /2018-06-01/runtime/invocation/8/error HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
		defer ours.Close()
		go func() {
			_, _ = theirs.Write(text)
			_ = unix.Shutdown(int(theirs.Fd()), unix.SHUT_WR)
			_, _ = io.Copy(io.Discard, theirs)
			theirs.Close()
		}()
		e := &environment{api: ours, reader: bufio.NewReaderSize(ours, 64<<10)}
		answer, err := e.exchange(invocation{id: "7", payload: []byte("{}")}, time.Now().Add(5*time.Second))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("hangs on %q", text)
		}
		if err == nil && (answer.id != "7" || len(answer.body) > len(text)) {
			t.Errorf("takes %+v of %q for its answer", answer, text)
		}
		_ = withRequestID(answer.body, "7")
	})
}

// FuzzLogTail checks that the log keeps the end of whatever is printed.
func FuzzLogTail(f *testing.F) {
	f.Add([]byte("a line\n"), uint16(3))
	f.Add(bytes.Repeat([]byte{0, 0xff}, 5000), uint16(4097))
	f.Fuzz(func(t *testing.T, text []byte, piece uint16) {
		l := &logTail{buf: make([]byte, 0, 2*tailBytes)}
		for chunk := range slices.Chunk(text, int(piece)+1) {
			l.keep(chunk)
		}
		if want := text[max(0, len(text)-tailBytes):]; !bytes.Equal(l.tail(), want) {
			t.Errorf("%q is kept of %q", l.tail(), text)
		}
	})
}

// endless is the output of a script that never ends the header of its call.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read > 64<<20 {
		return 0, io.EOF
	}
	n := copy(p, bytes.Repeat([]byte{'a'}, len(p)))
	e.read += n
	return n, nil
}

func TestAHeadWithoutEndIsNotReadIntoMemory(t *testing.T) {
	for _, start := range []string{"", "POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nA: ", "POST /x HTTP/1.1\r\n"} {
		more := &endless{}
		_, err := readCall(bufio.NewReaderSize(io.MultiReader(strings.NewReader(start), more), 64<<10))
		if err == nil || more.read > 128<<10 {
			t.Errorf("after %q it has read %d bytes: %v", start, more.read, err)
		}
	}
}

// FuzzTarget checks that no notation of a name reaches a function other than
// the one whose permission is checked.
func FuzzTarget(f *testing.F) {
	for _, name := range []string{"t-acme-x", "arn:aws:lambda:eu-west-1:000000000000:function:x", "000000000000:function:x:$LATEST", "x%2Fy", "function:x", "arn:aws:lambda:eu-west-1:000000000000:layer:x:1"} {
		f.Add(name)
	}
	s := &Server{cfg: Config{Region: testRegion, Account: testAccount}}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := s.target(&operation{name: "Invoke"}, []string{name})
		if err == nil && name != "" && got.arn != s.functionARN(got.name) {
			t.Errorf("%q asks for %s and reaches %s", name, got.arn, got.name)
		}
	})
}

// FuzzRoute checks that no path makes the router panic.
func FuzzRoute(f *testing.F) {
	f.Add("GET", "/2015-03-31/functions/x/configuration")
	f.Add("PUT", "/2017-10-31/functions/x%2F..%2Fy/concurrency")
	f.Fuzz(func(t *testing.T, method, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL.Path, r.URL.RawPath = method, path, path
		op, args, err := route(r)
		if err == nil && (op == nil || len(args) > 2) {
			t.Errorf("%s %s: %v %v", method, path, op, args)
		}
	})
}

// FuzzUnpack checks that no zip writes outside its folder.
func FuzzUnpack(f *testing.F) {
	for _, name := range []string{"app.py", "../x", "/etc/x", "a/../../x", `..\x`, "a//b", "."} {
		f.Add(zipOf(f, map[string]string{name: "x"}))
	}
	var links bytes.Buffer
	z := zip.NewWriter(&links)
	h := &zip.FileHeader{Name: "out"}
	h.SetMode(fs.ModeSymlink | 0o777)
	w, _ := z.CreateHeader(h)
	_, _ = w.Write([]byte("../outside"))
	w, _ = z.Create("out/x")
	_, _ = w.Write([]byte("x"))
	_ = z.Close()
	f.Add(links.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		store, err := newFiles(filepath.Join(dir, "store"), filepath.Join(dir, "inside"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, "outside"), 0o755); err != nil {
			t.Fatal(err)
		}
		b := blobOf(data)
		if store.keep(&b, data) != nil {
			return
		}
		_, _ = store.merged(b)
		for path, want := range map[string]int{dir: 3, filepath.Join(dir, "outside"): 0} {
			entries, err := os.ReadDir(path)
			if err != nil || len(entries) != want {
				t.Errorf("%s: %v %v", path, entries, err)
			}
		}
	})
}
