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

// within bounds how long a process may take to start and to stop.
const within = 2 * time.Minute

// Process is a test's own: it ends with the test at the latest, and where the
// test fails, the end of its log is shown. Its methods are for the test's
// goroutine.
type Process struct {
	*Child
	Name string
	Tag  string // tells it from others of its name, where it is set

	t   testing.TB
	log string // file of its stderr
}

// Start runs a program with this environment, and no other.
func Start(t testing.TB, env []string, program string, args ...string) *Process {
	t.Helper()
	return StartAs(t, filepath.Base(program), env, program, args...)
}

// StartAs runs a program that becomes another, after which the process is named.
func StartAs(t testing.TB, name string, env []string, program string, args ...string) *Process {
	t.Helper()
	stderr, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close() // the process has its own
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

// end kills what is left, and shows what it said.
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

// Telling is the end of a log, without the runs that went well.
func Telling(log string) string {
	var lines strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"msg":"run settled","verdict":"answered"`) {
			lines.WriteString(line)
		}
	}
	log = lines.String()
	return log[max(0, len(log)-8000):]
}

// Said is what the process has logged.
func (p *Process) Said() string {
	p.t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Errorf("read what %s said: %v", p.Name, err)
	}
	return string(b)
}

// Send sends it a signal; SIGSTOP stops it where it stands, until SIGCONT.
func (p *Process) Send(s syscall.Signal) {
	p.t.Helper()
	if err := p.Signal(s); err != nil {
		p.t.Fatalf("send %s to %s: %v", s, p.Name, err)
	}
}

// Terminate asks the process to stop, and waits until it has, without an error.
func (p *Process) Terminate() {
	p.t.Helper()
	p.Send(syscall.SIGTERM)
	p.AwaitStop()
}

// AwaitStop waits until a process that was asked to stop has, without an error.
func (p *Process) AwaitStop() {
	p.t.Helper()
	wait.Until(p.t, within, p.Name+" does not stop", p.Gone)
	if p.Err != nil {
		p.t.Errorf("%s stopped with %v", p.Name, p.Err)
	}
}

var admin = regexp.MustCompile(`"admin":"([^"]+)"`)

// AdminOf is the admin address that a log tells, or empty.
func AdminOf(log string) string {
	if m := admin.FindStringSubmatch(log); m != nil {
		return m[1]
	}
	return ""
}

// Admin waits until the process tells its admin address.
func (p *Process) Admin() (addr string) {
	p.t.Helper()
	wait.Until(p.t, within, p.Name+" tells no admin address", func() bool {
		addr = AdminOf(p.Said())
		return addr != ""
	})
	return addr
}
