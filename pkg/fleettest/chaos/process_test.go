package chaos

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// process is one of the fleet's, which ends with its test at the latest.
type process struct {
	t      *testing.T
	name   string
	tag    string // tells it from the fleet's others
	log    string // file of its stderr
	pid    int
	exited chan struct{}
	err    error // of the exit; read it once exited is closed
	once   sync.Once

	// Its ways to the servers.
	aws, redis *line
	awsTap     *awsTap
	redisTap   *redisTap
}

// start runs a program. Where the test fails, the end of its log is shown.
func start(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	return startUnder(t, nil, name, env, args...)
}

// startUnder runs it by way of other programs, each of which becomes the next.
func startUnder(t *testing.T, by []string, name string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, exited: make(chan struct{})}
	stderr, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	p.log = stderr.Name()
	line := slices.Concat(by, []string{filepath.Join(bin, name)}, args)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env, cmd.Stderr, cmd.SysProcAttr = env, stderr, dieWithParent()
	started := make(chan error)
	go func() {
		// The kernel ends the child with the thread that made it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer stderr.Close()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	return p
}

// end kills what is left, and shows what it said.
func (p *process) end() {
	p.kill()
	said, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Errorf("read what %s said: %v", p.name, err)
	}
	if bytes.Contains(said, []byte("DATA RACE")) {
		p.t.Errorf("%s has a data race", p.name)
	}
	if p.t.Failed() {
		p.t.Logf("%s %s said:\n%s", p.name, p.tag, telling(said))
	}
}

// telling is the end of a log, without the runs that went well.
func telling(log []byte) []byte {
	var lines [][]byte
	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, []byte(`"msg":"run settled","verdict":"finished"`)) {
			lines = append(lines, line)
		}
	}
	log = bytes.Join(lines, nil)
	return log[max(0, len(log)-8000):]
}

// kill ends the process as a crash would (kill -9, to it alone), and waits until
// it is gone.
func (p *process) kill() {
	p.once.Do(func() {
		if !p.gone() { // else its pid may be another's by now
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	})
	<-p.exited
}

// freeze stops the process where it stands, thaw lets it go on.
func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }

// askToStop does not wait for it.
func (p *process) askToStop() { p.signal(syscall.SIGTERM) }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, s); err != nil {
		p.t.Fatalf("send %s to %s: %v", s, p.name, err)
	}
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// terminate asks the process to stop, and waits until it has, without an error.
func (p *process) terminate() {
	p.t.Helper()
	p.askToStop()
	p.awaitStop()
}

func (p *process) awaitStop() {
	p.t.Helper()
	eventually(p.t, p.name+" does not stop", p.gone)
	if p.err != nil {
		p.t.Errorf("%s stopped with %v", p.name, p.err)
	}
}

// left counts the processes whose environment holds the word: a fleet's own and
// whatever they started.
func left(word string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if env, err := os.ReadFile(file); err == nil && bytes.Contains(env, []byte(word)) {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}
