package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// within bounds a process's start and its stop.
const within = 2 * time.Minute

// Process is a process of a test. It is killed at the end of the test; if the
// test failed, the end of its log is printed. Its methods must be called by the
// test's goroutine.
type Process struct {
	*Child
	Name string
	Tag  string // if set, distinguishes processes of the same name

	t   testing.TB
	log string // file with its stderr
}

// Start runs a program with exactly this environment.
func Start(t testing.TB, env []string, program string, args ...string) *Process {
	t.Helper()
	return StartAs(t, filepath.Base(program), env, program, args...)
}

// StartAs runs a program that execs another one, whose name the process gets.
func StartAs(t testing.TB, name string, env []string, program string, args ...string) *Process {
	t.Helper()
	stderr, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close() // the process has its own descriptor
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stderr = env, stderr
	child, err := Launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Child: child, Name: name, t: t, log: stderr.Name()}
	t.Cleanup(p.end)
	return p
}

// end kills the process, and prints the end of its log.
func (p *Process) end() {
	p.Kill()
	said := p.Said()
	if strings.Contains(said, "DATA RACE") {
		p.t.Errorf("%s has a data race", p.Name)
	}
	if p.t.Failed() {
		p.t.Logf("%s %s (%d) said:\n%s", p.Name, p.Tag, p.PID, Telling(said))
	}
}

// Telling is the end of a log, without the lines of successful runs.
func Telling(log string) string {
	var lines strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"msg":"run settled"`) {
			lines.WriteString(line)
		}
	}
	log = lines.String()
	return log[max(0, len(log)-8000):]
}

// Said is the process's log.
func (p *Process) Said() string {
	p.t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Errorf("read what %s said: %v", p.Name, err)
	}
	return string(b)
}

// Send sends a signal; SIGSTOP pauses the process until SIGCONT.
func (p *Process) Send(s syscall.Signal) {
	p.t.Helper()
	if err := p.Signal(s); err != nil {
		p.t.Fatalf("send %s to %s: %v", s, p.Name, err)
	}
}

// Terminate sends SIGTERM, and waits until the process has stopped without an
// error.
func (p *Process) Terminate() {
	p.t.Helper()
	p.Send(syscall.SIGTERM)
	p.AwaitStop()
}

// AwaitStop waits until a process that was asked to stop has done so without an
// error.
func (p *Process) AwaitStop() {
	p.t.Helper()
	wait.Until(p.t, within, p.Name+" does not stop", p.Gone)
	if p.Err != nil {
		p.t.Errorf("%s stopped with %v", p.Name, p.Err)
	}
}

var admin = regexp.MustCompile(`"admin":"([^"]+)"`)

// AdminOf is the admin address in a log, or "".
func AdminOf(log string) string {
	if m := admin.FindStringSubmatch(log); m != nil {
		return m[1]
	}
	return ""
}

// Admin waits until the process has logged its admin address.
func (p *Process) Admin() (addr string) {
	p.t.Helper()
	wait.Until(p.t, within, p.Name+" tells no admin address", func() bool {
		addr = AdminOf(p.Said())
		return addr != ""
	})
	return addr
}
