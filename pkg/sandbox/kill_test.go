//go:build linux

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// escape leaves processes that are hard to kill: in other sessions, ignoring
// SIGTERM, orphaned, or forking endlessly.
const escape = `
import os, signal, sys, time
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        while True:
            if os.fork() == 0: time.sleep(0.02); os._exit(0)
            try: os.waitpid(-1, os.WNOHANG)
            except ChildProcessError: pass
            time.sleep(0.01)
print("ready", flush=True)
`

// startScript starts code and waits until it prints ready.
func startScript(t *testing.T, code, marker string, walls Report, binds ...Bind) *Process {
	t.Helper()
	s := script(t, code)
	s.Binds = append(s.Binds, binds...)
	return startSpec(t, s, marker, walls)
}

func startSpec(t *testing.T, s Spec, marker string, walls Report) *Process {
	t.Helper()
	s.Args = append(s.Args, marker)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.Stdout, s.Stderr = w, w
	p, err := start(t.Context(), s, walls)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(r).ReadString('\n'); line != "ready\n" {
		p.Kill()
		t.Fatalf("script says %q", line)
	}
	return p
}

func mark() string { return fmt.Sprintf("marker-%d", time.Now().UnixNano()) }

func TestKillLeavesNoDescendant(t *testing.T) {
	marker := mark()
	p := startScript(t, escape+"time.sleep(300)", marker, Probe())
	wait.Until(t, 10*time.Second, "the script starts no process that escapes", func() bool { return len(process.Marked("cmdline", marker)) >= 4 })
	p.Kill()
	if left := process.Marked("cmdline", marker); len(left) > 0 {
		t.Errorf("alive after Kill: %v", left)
	}
	if exit := p.Wait(); exit.Signal != "killed" {
		t.Errorf("%+v", exit)
	}
}

func TestItsEndLeavesNoDescendant(t *testing.T) {
	marker := mark()
	p := startScript(t, escape, marker, Probe())
	if exit := p.Wait(); !exit.Success() {
		t.Errorf("%+v", exit)
	}
	if left := process.Marked("cmdline", marker); len(left) > 0 {
		t.Errorf("alive after the end: %v", left)
	}
}

func TestEndOfContextKills(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, script(t, "import time; time.sleep(300)"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if exit := p.Wait(); exit.Signal != "killed" {
		t.Errorf("%+v", exit)
	}
}

func TestFreezeStopsThreadsAndKillsChildren(t *testing.T) {
	dir, marker := t.TempDir(), mark()
	p := startScript(t, `
import os, sys, threading, time
def count():
    n = 0
    while True:
        n += 1
        with open(`+fmt.Sprintf("%q", Bind{Source: dir, Target: "/mine"}.Path())+` + "/n", "w") as f: f.write("x" * (n % 1000) + "\n")
threading.Thread(target=count, daemon=True).start()
for _ in range(3):
    if os.fork() == 0:
        os.setsid(); time.sleep(300)
print("ready", flush=True)
time.sleep(300)`, marker, Probe(), Bind{Source: dir, Target: "/mine", Writable: true})
	defer p.Kill()
	changed := func() bool {
		before, _ := os.ReadFile(filepath.Join(dir, "n"))
		for range 20 {
			time.Sleep(time.Millisecond) // the process must not do anything in this time
			if after, _ := os.ReadFile(filepath.Join(dir, "n")); string(after) != string(before) {
				return true
			}
		}
		return false
	}
	wait.Until(t, 10*time.Second, "the thread does not count", changed)
	peak, err := p.Freeze()
	if err != nil || peak < 1<<20 {
		t.Fatal(peak, err)
	}
	if n := len(process.Marked("cmdline", marker)); n > 1 {
		t.Errorf("%d processes are left, want the first alone", n)
	}
	if changed() {
		t.Error("the thread goes on")
	}
	if err := p.Thaw(); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, 10*time.Second, "the thread does not count again", changed)
}

// What Keep spares goes on through a freeze; what the process starts later does
// not.
func TestFreezeSparesTheChildrenOfKeepAlone(t *testing.T) {
	dir, marker := t.TempDir(), mark()
	p := startScript(t, `
import os, time
def child():
    if os.fork() == 0:
        time.sleep(300)
child()
print("ready", flush=True)
while not os.path.exists(`+fmt.Sprintf("%q", Bind{Source: dir, Target: "/mine"}.Path())+` + "/more"): time.sleep(0.001)
child()
time.sleep(300)`, marker, Probe(), Bind{Source: dir, Target: "/mine", Writable: true})
	defer p.Kill()
	if err := p.Keep(); err != nil {
		t.Fatal(err)
	}
	if p.main == nil { // the init keeps them, once it has read the order
		_, _ = p.Freeze()
		_ = p.Thaw()
	}
	if err := os.WriteFile(filepath.Join(dir, "more"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, 10*time.Second, "the second child does not start", func() bool { return len(process.Marked("cmdline", marker)) == 3 })
	for range 2 {
		if _, err := p.Freeze(); err != nil {
			t.Fatal(err)
		}
		if n := len(process.Marked("cmdline", marker)); n != 2 {
			t.Errorf("%d processes are left, want the first and the child that is kept", n)
		}
		if err := p.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
}

// chain is a script whose processes fork and exit faster than they can be
// listed.
const chain = `
import os
if os.fork() == 0:
    os.setsid()
    while True:
        if os.fork(): os._exit(0)
import time
print("ready")
time.sleep(300)`

func TestFreezeLetsNoChainOfForksGoOn(t *testing.T) {
	walls := map[string]Report{"all walls": Probe(), "no memory group": Probe()}
	without := walls["no memory group"]
	without.MemoryCgroup = 0
	walls["no memory group"] = without
	for name, w := range walls {
		t.Run(name, func(t *testing.T) {
			marker := mark()
			p := startScript(t, chain, marker, w)
			defer p.Kill()
			if _, err := p.Freeze(); err != nil {
				p.Kill()
			}
			for range 20 { // its remaining processes are stopped
				for _, pid := range process.Marked("cmdline", marker) {
					if status, err := inside.ReadStatus(pid); err == nil && !strings.ContainsRune("TZX", rune(status.State)) {
						t.Errorf("%d is in state %c", pid, status.State)
					}
				}
			}
		})
	}
}

func TestKillingGivesUpOnWhatBeginsAgainAndAgain(t *testing.T) {
	began := 0
	ended := inside.KillWhile(func() []int {
		began++
		cmd := exec.Command("/bin/sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = cmd.Wait() }()
		return []int{cmd.Process.Pid}
	})
	if ended {
		t.Errorf("all are said to be gone after %d", began)
	}
}

func TestAloneSeesADescendant(t *testing.T) {
	p := startScript(t, "import subprocess, time; subprocess.Popen(['sleep', '300'], start_new_session=True); print('ready', flush=True); time.sleep(300)", mark(), Probe())
	defer p.Kill()
	if _, alone := p.Alone(); alone {
		t.Error("it is alone beside a child")
	}
	if _, err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	peak, alone := p.Alone()
	if tells := p.main != nil; alone != tells || alone && peak < 1<<20 {
		t.Errorf("once its child is killed: alone %t, peak %d", alone, peak)
	}
}

func TestFreezeDoesNotWakeTheInit(t *testing.T) {
	p := startScript(t, "import time; print('ready', flush=True); time.sleep(300)", mark(), Probe())
	defer p.Kill()
	if p.main == nil {
		return // only the init can freeze it
	}
	state := func() byte {
		status, err := inside.ReadStatus(p.main.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return status.State
	}
	switches := func() (n int64) {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			n += inside.Number(text, "\nvoluntary_ctxt_switches:")
		}
		return n
	}
	const freezes = 50
	before := switches()
	for range freezes {
		if _, err := p.Freeze(); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, 10*time.Second, "it is not stopped", func() bool { return state() == 'T' })
		if err := p.Thaw(); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, 10*time.Second, "it stays stopped", func() bool { return state() != 'T' })
	}
	if n := switches() - before; before == 0 || n >= freezes {
		t.Errorf("the init has woken %d times (%d before)", n, before)
	}
}

func TestFreezeAfterTheEndFails(t *testing.T) {
	p, err := Start(t.Context(), Spec{Path: "/bin/true", MemoryBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	p.Wait()
	if _, err := p.Freeze(); err == nil {
		t.Error("a process that has ended was frozen")
	}
}

// listen listens on a free port of the host's loopback.
func listen(t *testing.T) int {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

// TestAnOrdinaryUserIsWalledInToo runs the most important tests as user nobody.
func TestAnOrdinaryUserIsWalledInToo(t *testing.T) {
	if os.Getuid() != 0 {
		return // this is the child
	}
	tmp := t.TempDir()
	for dir := tmp; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(tmp, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	tests := "^Test(NoFileOfTheHostIsReadable|NoProcessOfTheHostIsVisible|ItRunsWithoutPrivileges|DangerousSystemCallsAreRefused|WritesEndAtTmpAndWritableBinds|KillLeavesNoDescendant|FreezeStopsThreadsAndKillsChildren|MemoryHogDies|ForkBombIsBounded|NetworkIsThereOnlyWhenAskedFor|ProbeFindsThisMachinesWalls|ItEndsWithItsStarter)$"
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", tests, "-test.v")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + tmp, "TMPDIR=" + tmp}
	cmd.Dir = tmp
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "sandbox:") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

func TestPanicOfAWatcherEndsItsProcessAlone(t *testing.T) {
	var told *panics.Error
	start := func() *Process {
		p, err := Start(t.Context(), Spec{Path: "/bin/sleep", Args: []string{"60"}, Panicked: func(e *panics.Error) { told = e }})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, other := start(), start()
	p.guarded(func() { panic("a fault of ours") })
	exit := p.Wait()
	var caught *panics.Error
	if !errors.As(exit.Err, &caught) || caught != told || exit.Success() {
		t.Errorf("it ends with %+v, told is %v", exit, told)
	}
	select {
	case <-other.Gone():
		t.Error("the process beside it ended too")
	default:
	}
	other.Kill()
}

// The race detector would tell what Freeze reads of a process that ends.
func TestAProcessMayEndDuringAFreeze(t *testing.T) {
	p := startScript(t, "import time; print('ready', flush=True); time.sleep(300)", mark(), Probe())
	go p.Kill()
	for {
		if _, err := p.Freeze(); err != nil {
			break
		}
	}
	p.Kill()
}
