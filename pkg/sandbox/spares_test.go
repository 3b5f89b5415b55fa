//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// starter is Start, or the Start of Spares.
type starter func(context.Context, Spec) (*Process, error)

// printed is what the process prints; it fails where it does not end well.
func printed(t *testing.T, start starter, s Spec) string {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	s.Stdout, s.Stderr = out, out
	p, err := start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	out.Close()
	text, _ := io.ReadAll(in)
	if exit := p.Wait(); !exit.Success() {
		t.Fatalf("it ends with %+v:\n%s", exit, text)
	}
	return string(text)
}

// oneSpare is Spares with a single spare, to which none is added.
func oneSpare(t testing.TB) (*Spares, *Process) {
	t.Helper()
	s := NewSpares(2)
	t.Cleanup(s.Close)
	wait.Until(t, time.Minute, "no spare is made", func() bool { return len(s.ready) == 1 })
	s.stop()
	s.made.Wait()
	p := <-s.ready
	s.ready <- p
	return s, p
}

// seen is what a process finds around it, apart from numbers that differ from
// start to start.
const seen = `
import os, resource
for line in open("/proc/self/status"):
    if line.split(":")[0] in ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        print(line.strip())
print(open("/proc/self/uid_map").read().split()[:2], len(open("/proc/self/uid_map").readlines()))
print(sorted(line.split(" - ")[0].split()[4:6] for line in open("/proc/self/mountinfo")))
print(sorted(os.listdir("/")), os.getcwd(), sorted(os.environ))
print([(n, resource.getrlimit(n)) for n in range(16)])
print(sorted(os.listdir("/proc/self/fd")), [int(p) == os.getpid() for p in os.listdir("/proc") if p.isdigit()])
print(os.getsid(0) == os.getpid(), os.uname().nodename)
for name in "user", "pid", "mnt", "ipc", "uts", "net":
    print("ns", name, os.readlink("/proc/self/ns/" + name))
`

var namespaces = regexp.MustCompile(`(?m)^ns (\w+) (.*)$`)

func TestSpareHasTheWallsOfAnyOther(t *testing.T) {
	s, spare := oneSpare(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	spec := script(t, seen)
	spec.ExtraFiles = []*os.File{read}
	viaSpare := printed(t, func(ctx context.Context, spec Spec) (*Process, error) {
		p, err := s.Start(ctx, spec)
		if p != spare {
			t.Error("the spare was not taken")
		}
		return p, err
	}, spec)
	direct := printed(t, Start, spec)
	if a, b := namespaces.ReplaceAllString(viaSpare, ""), namespaces.ReplaceAllString(direct, ""); a != b {
		t.Errorf("behind a spare's walls:\n%s\nbehind any other's:\n%s", a, b)
	}
	for _, ns := range namespaces.FindAllStringSubmatch(viaSpare, -1) {
		own, _ := os.Readlink("/proc/self/ns/" + ns[1])
		if shared := ns[1] == "net"; (ns[2] == own) != shared {
			t.Errorf("namespace %s is %s; the starter's is %s", ns[1], ns[2], own)
		}
	}
}

func TestSpareIsKeptToTheMemoryOfItsPlan(t *testing.T) {
	if Probe().MemoryCgroup == 0 {
		t.Fatal("this machine gives no memory cgroup")
	}
	s, _ := oneSpare(t)
	spec := script(t, "x = bytearray(200 << 20)\nprint(len(x))\nimport time\ntime.sleep(60)")
	spec.MemoryBytes = 64 << 20
	out, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	spec.Stdout, spec.Stderr = out, out
	p, err := s.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if exit := p.Wait(); !exit.OutOfMemory {
		t.Errorf("it ends with %+v", exit)
	}
}

func TestSpareThatWasKilledIsPassedOver(t *testing.T) {
	s, dead := oneSpare(t)
	_ = unix.Kill(dead.cmd.Process.Pid, unix.SIGKILL)
	wait.Until(t, time.Minute, "the spare lives", func() bool {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(dead.cmd.Process.Pid) + "/status")
		return err != nil || bytes.Contains(status, []byte("\nState:\tZ"))
	})
	if got := printed(t, s.Start, script(t, "print('here')")); got != "here\n" {
		t.Errorf("it prints %q", got)
	}
}

func TestSparesAreGoneAfterClose(t *testing.T) {
	s, spare := oneSpare(t)
	s.Close()
	if err := unix.Kill(spare.cmd.Process.Pid, 0); err != unix.ESRCH {
		t.Errorf("the spare lives: %v", err)
	}
	if got := printed(t, s.Start, script(t, "print('here')")); got != "here\n" {
		t.Errorf("after Close it prints %q", got)
	}
}

func BenchmarkStartWithASpare(b *testing.B) {
	s := NewSpares(2)
	defer s.Close()
	out, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	for b.Loop() {
		b.StopTimer()
		wait.Until(b, time.Minute, "no spare is made", func() bool { return len(s.ready) == 1 })
		b.StartTimer()
		p, err := s.Start(b.Context(), Spec{Path: "/bin/true", Network: true, MemoryBytes: 64 << 20, Stdout: out, Stderr: out})
		if err != nil {
			b.Fatal(err)
		}
		p.Wait()
	}
}
