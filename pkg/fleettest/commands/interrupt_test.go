package commands

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// soon bounds a command's end after Ctrl-C: the promised second, and another
// one for a loaded machine.
const soon = time.Second + time.Second

// sleeps is a script whose process has a name that a process list shows.
const sleeps = `import ctypes, time
def main(input):
    ctypes.CDLL(None).prctl(15, input["name"].encode(), 0, 0, 0)
    time.sleep(50)
`

func TestCtrlCEndsACommandWithinASecondAndLeavesNothing(t *testing.T) {
	slow := files.Write(t, "slow.py", sleeps)
	for _, c := range []struct {
		name string
		args []string
		when func(p *process.Process) bool
		says string
		fine bool // exits with 0
	}{
		{"local that idles", []string{"local"}, said("fleet runs"), "stopping", true},
		{"run that starts", []string{"run", slow}, said("started for this run"), "interrupted", false},
		{"run", []string{"run", slow, "--timeout", "60", "--input", `{"name": "sf-ctrl-c"}`}, func(*process.Process) bool { return named("sf-ctrl-c") }, "interrupted before run", false},
		{"replay", []string{"replay", "--generate", "tenants=2,scripts=2,requests=500,sleep=2s", "--at-once"}, said("sends 500 requests"), "runs were in flight", false},
		{"demo", []string{"demo"}, said("Sent 57 requests"), "interrupted", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			temp := t.TempDir()
			p := process.Start(t, environment("TMPDIR="+temp), binary("scriptfleet"), c.args...)
			wait.Until(t, within, "it does not get that far", func() bool { return c.when(p) })
			family := p.Family()
			began := time.Now()
			p.Send(syscall.SIGINT)
			wait.Until(t, soon, "the command does not end", p.Gone)
			t.Logf("it took %s", time.Since(began))
			if (p.Err == nil) != c.fine || !strings.Contains(p.Said(), c.says) {
				t.Errorf("it ended with %v", p.Err)
			}
			leavesNothing(t, temp, family)
		})
	}
}

func TestCtrlCTellsWhatIsWaitedForAndASecondOneGivesItUp(t *testing.T) {
	temp := t.TempDir()
	l := startLocal(t, environment("TMPDIR="+temp), "--data", filepath.Join(t.TempDir(), "data"))
	run := process.Start(t, l.env, binary("scriptfleet"), "run", files.Write(t, "slow.py", sleeps), "--timeout", "60", "--input", `{"name": "sf-drain"}`)
	wait.Until(t, within, "the script does not run", func() bool { return named("sf-drain") })
	family := l.Family()
	l.Send(syscall.SIGINT)
	wait.Until(t, soon, "it does not say what it waits for", func() bool { return strings.Contains(l.Said(), "for 1 runs in hand") })
	if l.Gone() {
		t.Error("the run in hand was not waited for")
	}
	l.Send(syscall.SIGINT)
	wait.Until(t, soon, "it does not end", l.Gone)
	run.Kill()
	leavesNothing(t, temp, family)
}

func TestAStartSweepsWhatACrashLeft(t *testing.T) {
	temp := t.TempDir()
	env := environment("TMPDIR=" + temp)
	crashed := startLocal(t, env, "--no-fleet")
	crashed.Kill()
	left := folders(t, temp)
	if len(left) != 1 {
		t.Fatalf("the crash left %q", left)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(temp, left[0]), old, old); err != nil {
		t.Fatal(err)
	}
	startLocal(t, env, "--no-fleet")
	if now := folders(t, temp); len(now) != 1 || now[0] == left[0] {
		t.Errorf("after a start there is %q; the crash left %q", now, left)
	}
}

func said(text string) func(*process.Process) bool {
	return func(p *process.Process) bool { return strings.Contains(p.Said(), text) }
}

// named tells whether a process has the name.
func named(name string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && string(b) == name+"\n" {
			return true
		}
	}
	return false
}

// leavesNothing checks that no folder and no process is left.
func leavesNothing(t *testing.T, temp string, family []process.Born) {
	t.Helper()
	if left := folders(t, temp); len(left) > 0 {
		t.Errorf("it left %q", left)
	}
	wait.Until(t, within, "processes are left", func() bool {
		for _, b := range family {
			if b.Alive() {
				return false
			}
		}
		return true
	})
}

func folders(t *testing.T, in string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
