package pypitest

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// File is a package's file, by its name.
type File interface {
	File() string
	Bytes(t testing.TB) []byte
}

// Serve starts an index without authentication in the test's process, and
// returns its address.
func Serve[F File](t testing.TB, packages ...F) string {
	t.Helper()
	files := map[string][]byte{}
	links := map[string]string{}
	for _, p := range packages {
		files[p.File()] = p.Bytes(t)
		links[nameOf(p.File())] += fmt.Sprintf("<a href=\"/files/%s\">%s</a>\n", p.File(), p.File())
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

// nameOf is the package's name in the form that indexes use.
func nameOf(file string) string {
	name, _, _ := strings.Cut(file, "-")
	return strings.ReplaceAll(name, "_", "-")
}

// Private starts a pypiserver, which `make setup` installs, with the packages.
// It lets in the user with the password alone, or everybody where the password
// is empty.
func Private[F File](t testing.TB, user, password string, packages ...F) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range packages {
		if err := os.WriteFile(filepath.Join(dir, p.File()), p.Bytes(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha1.Sum([]byte(password)) // the form that needs no module of pypiserver's
	users := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(users, []byte(user+":{SHA}"+base64.StdEncoding.EncodeToString(sum[:])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	python, err := program.Tool("python")
	if err != nil {
		t.Fatal(err)
	}
	protected := "list,download,update"
	if password == "" {
		protected = ""
	}
	server := process.Start(t, os.Environ(), python, "-u", "-c", pypiserver, dir, users, protected)
	var at []string
	wait.Until(t, time.Minute, "pypiserver does not start", func() bool {
		at = listening.FindStringSubmatch(server.Said())
		return at != nil || server.Gone()
	})
	if at == nil {
		t.Fatalf("pypiserver has ended: %s", server.Said())
	}
	return "http://127.0.0.1:" + at[1] + "/simple/"
}

// pypiserver serves its application on a port that the system chooses.
const pypiserver = `import pathlib, sys
from wsgiref.simple_server import make_server
import pypiserver
app = pypiserver.app(roots=[pathlib.Path(sys.argv[1])], password_file=sys.argv[2], authenticate=sys.argv[3].split(",") if sys.argv[3] else ["."], disable_fallback=True)
server = make_server("127.0.0.1", 0, app)
print("listens on", server.server_port, file=sys.stderr)
server.serve_forever()`

var listening = regexp.MustCompile(`listens on (\d+)`)
