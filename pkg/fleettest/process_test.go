package fleettest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
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
	log    string // file of its stderr
	pid    int
	exited chan struct{}
	err    error // of the exit; read it once exited is closed
	once   sync.Once
}

// start runs a program. Where the test fails, the end of its log is shown.
func start(t *testing.T, program string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: filepath.Base(program), exited: make(chan struct{})}
	stderr, err := os.CreateTemp(t.TempDir(), p.name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	p.log = stderr.Name()
	cmd := exec.Command(program, args...)
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
	said := p.said()
	if strings.Contains(said, "DATA RACE") {
		p.t.Errorf("%s has a data race", p.name)
	}
	if p.t.Failed() {
		p.t.Logf("%s (%d) said:\n%s", p.name, p.pid, said[max(0, len(said)-8000):])
	}
}

// kill ends the process as a crash would, and waits until it is gone.
func (p *process) kill() {
	p.once.Do(func() {
		select {
		case <-p.exited: // its pid may be another's by now
		default:
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	})
	<-p.exited
}

// terminate asks the process to stop, and waits until it has, without an error.
func (p *process) terminate() {
	p.t.Helper()
	if err := syscall.Kill(p.pid, syscall.SIGTERM); err != nil {
		p.t.Fatalf("stop %s: %v", p.name, err)
	}
	eventually(p.t, p.name+" does not stop", func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return false
		}
	})
	if p.err != nil {
		p.t.Errorf("%s stopped with %v", p.name, p.err)
	}
}

func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Errorf("read what %s said: %v", p.name, err)
	}
	return string(b)
}

var admin = regexp.MustCompile(`"admin":"([^"]+)"`)

// admin waits until the process tells its admin address.
func (p *process) admin() (addr string) {
	p.t.Helper()
	eventually(p.t, p.name+" tells no admin address", func() bool {
		if m := admin.FindStringSubmatch(p.said()); m != nil {
			addr = m[1]
		}
		return addr != ""
	})
	return addr
}

// born names a process even when its pid is another's later: pid and start.
type born struct {
	pid   int
	start string
}

// family is the process and all that descend from it, as /proc has them.
func (p *process) family() []born {
	children := map[int][]born{}
	var own []born
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		who, parent, ok := readStat(file)
		if !ok {
			continue
		}
		children[parent] = append(children[parent], who)
		if who.pid == p.pid {
			own = append(own, who)
		}
	}
	for i := 0; i < len(own); i++ {
		own = append(own, children[own[i].pid]...)
	}
	return own
}

// alive tells whether the process is there and no zombie.
func (b born) alive() bool {
	now, _, ok := readStat(fmt.Sprintf("/proc/%d/stat", b.pid))
	return ok && now == b
}

// readStat reads pid, parent and start; zombies count as gone.
func readStat(file string) (who born, parent int, ok bool) {
	b, err := os.ReadFile(file)
	_, rest, found := bytes.Cut(b, []byte(") ")) // the name may hold anything
	fields := strings.Fields(string(rest))
	if err != nil || !found || len(fields) < 20 || fields[0] == "Z" {
		return born{}, 0, false
	}
	who.start = fields[19]
	who.pid, _ = strconv.Atoi(string(b[:bytes.IndexByte(b, ' ')]))
	parent, _ = strconv.Atoi(fields[1])
	return who, parent, true
}
