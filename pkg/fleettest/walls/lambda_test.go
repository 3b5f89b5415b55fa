package walls

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// bareLambda is an execution environment as Lambda documents it, without any wall of
// ours: all processes have one uid, which is not root; there is a Runtime API on a
// port that all of them reach; /tmp can be written to, the function's folder cannot;
// a runtime that ends is started again. It has a machine's own process table, IPC
// and /tmp, as a Lambda environment is a virtual machine.
type bareLambda struct {
	t       *testing.T
	command func() *exec.Cmd
	api     string // host:port

	mu      sync.Mutex
	changed *sync.Cond
	id      int    // of the invocation under way, or the last one
	state   string // idle, running, answered
	payload []byte
	answer  []byte
	starts  int
	stopped bool
}

// prepare makes the machine. The arguments are the folders of Python and of the
// function, the program, and what it is given.
const prepare = `
set -e
python=$1 task=$2; shift 2
mount --make-rprivate /
mount -t tmpfs tmpfs /opt
mkdir /opt/python /opt/task
[ -z "$python" ] || mount --bind "$python" /opt/python
mount --bind "$task" /opt/task
mount -o remount,bind,ro /opt/task
mount -t tmpfs -o size=64m,mode=1777 tmpfs /tmp
mkdir -p /dev/shm
mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm
mount -t proc proc /proc
cd /opt/task
if [ "$(id -u)" = 0 ]; then set -- --reuid 65533 --regid 65533 --clear-groups "$@"; fi
setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all "$@" </dev/null &
wait $!
`

// startLambda starts the function of a zip, whose bootstrap is started by Python.
func startLambda(t *testing.T, python interpreter.Interpreter, code []byte, handler string) *bareLambda {
	t.Helper()
	task := unpack(t, code)
	l := &bareLambda{t: t, state: "idle"}
	l.changed = sync.NewCond(&l.mu)
	api := httptest.NewServer(l)
	l.api = api.Listener.Addr().String()
	path, prefix := python.Path, ""
	if python.Prefix != "" && python.Prefix != "/usr" {
		path, prefix = filepath.Join("/opt/python", strings.TrimPrefix(python.Path, python.Prefix)), python.Prefix
	}
	l.command = func() *exec.Cmd {
		cmd := exec.Command("/bin/sh", "-c", prepare, "sh", prefix, task, path, "-uBs", "bootstrap")
		cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + l.api, "LAMBDA_TASK_ROOT=/opt/task", "_HANDLER=" + handler, "LD_LIBRARY_PATH=/opt/python/lib",
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC, Pdeathsig: syscall.SIGKILL}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 65533, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 65533, HostID: os.Getgid(), Size: 1}}
			cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}
		}
		return cmd
	}
	ended := make(chan struct{})
	go func() { defer close(ended); l.keep() }()
	t.Cleanup(func() {
		l.mu.Lock()
		l.stopped = true
		l.changed.Broadcast()
		l.mu.Unlock()
		<-ended
		api.CloseClientConnections()
		api.Close()
	})
	return l
}

// mostStarts is how often a runtime may end.
const mostStarts = 20

// keep starts the runtime, and again when it has ended.
func (l *bareLambda) keep() {
	for {
		cmd := l.command()
		if err := cmd.Start(); err != nil {
			l.t.Error(err)
			return
		}
		gone := make(chan error, 1)
		go func() { gone <- cmd.Wait() }()
		stop := make(chan struct{})
		go func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			for !l.stopped {
				l.changed.Wait()
			}
			close(stop)
		}()
		select {
		case <-stop:
			_ = cmd.Process.Kill() // the init of its processes
			<-gone
			return
		case err := <-gone:
			l.mu.Lock()
			if l.starts++; l.starts > mostStarts {
				l.t.Errorf("the runtime ends again and again: %v", err)
			}
			if l.state == "running" {
				l.state, l.answer = "answered", []byte(`{"errorType":"Runtime.ExitError"}`)
			}
			l.changed.Broadcast()
			again := l.starts <= mostStarts
			l.mu.Unlock()
			if !again {
				return
			}
		}
	}
}

// invoke gives the payload to the runtime and waits for its answer.
func (l *bareLambda) invoke(payload []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id++
	l.payload, l.answer, l.state = payload, nil, "given"
	l.changed.Broadcast()
	for l.state != "answered" && l.starts <= mostStarts {
		l.changed.Wait()
	}
	return l.answer
}

// restarts is how often the runtime has ended.
func (l *bareLambda) restarts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.starts
}

// ServeHTTP is the Runtime API, with the states of AWS's own emulator: next gives
// the invocation under way again, and after its answer waits for the next one.
func (l *bareLambda) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	go func() { // a caller that is gone takes nothing
		<-r.Context().Done()
		l.mu.Lock()
		l.changed.Broadcast()
		l.mu.Unlock()
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	id := fmt.Sprintf("%08d-aaaa", l.id)
	switch path := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/"); {
	case path == "invocation/next":
		for l.state != "given" && l.state != "running" && r.Context().Err() == nil && !l.stopped {
			l.changed.Wait()
		}
		if r.Context().Err() != nil || l.stopped {
			return
		}
		l.state = "running"
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprintf("%08d-aaaa", l.id))
		w.Header().Set("Lambda-Runtime-Deadline-Ms", "9999999999999")
		_, _ = w.Write(l.payload)
	case (path == "invocation/"+id+"/response" || path == "invocation/"+id+"/error") && l.state == "running":
		l.answer, l.state = body, "answered"
		l.changed.Broadcast()
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func unpack(t *testing.T, code []byte) string {
	t.Helper()
	dir := t.TempDir()
	z, err := zip.NewReader(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(in)
		in.Close()
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// with is the zip with one more file.
func with(t *testing.T, code []byte, name, text string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range z.File {
		if err := w.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	added, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(added, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// compacted is JSON without white space.
func compacted(text []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return string(text)
	}
	return b.String()
}
