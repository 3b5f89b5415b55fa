//go:build linux

package sandbox

import (
	"context"
	"os"
	"testing"
)

// opened returns a starter that starts a process open, with awaitComplete as the
// beginning of its script, and then completes it.
func opened(t *testing.T, memory int64, binds ...Bind) starter {
	return func(ctx context.Context, s Spec) (*Process, error) {
		complete, done, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer complete.Close()
		defer done.Close()
		look, looked, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer look.Close()
		s.Open, s.ExtraFiles = true, []*os.File{complete, looked}
		p, err := Start(ctx, s)
		if err != nil {
			return nil, err
		}
		looked.Close()
		_, _ = look.Read(make([]byte, 1))
		if err := p.Complete(binds, memory); err != nil {
			t.Error(err)
		}
		return p, nil
	}
}

// awaitComplete looks for the host's root, and returns once the process is
// complete.
const awaitComplete = `
import os
try:
    before = os.listdir("/.old/root")
except OSError as e:
    before = type(e).__name__
os.write(4, b"x")
os.read(3, 1)
os.closerange(3, 5)
`

func TestCompletedProcessHasTheWallsOfAnyOther(t *testing.T) {
	data := Bind{Source: t.TempDir(), Target: "/var/task"}
	if err := os.WriteFile(data.Source+"/here", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	look := seen + `
print(os.listdir("/var/task"))
try: print(open("/var/task/new", "w"))
except OSError as e: print(e)`
	spec := script(t, awaitComplete+look)
	late := printed(t, opened(t, spec.MemoryBytes, data), spec)
	spec = script(t, "import os"+look)
	spec.Binds = append(spec.Binds, data)
	atOnce := printed(t, Start, spec)
	if a, b := namespaces.ReplaceAllString(late, ""), namespaces.ReplaceAllString(atOnce, ""); a != b {
		t.Errorf("behind the walls of a process that was open:\n%s\nbehind any other's:\n%s", a, b)
	}
}

func TestOpenProcessCannotReachTheHostsRoot(t *testing.T) {
	if !Probe().Root {
		t.Fatal("the tests of walls need root")
	}
	if got := printed(t, opened(t, 64<<20), script(t, awaitComplete+"print(before, os.path.exists('/.old'))")); got != "PermissionError False\n" {
		t.Errorf("it prints %q", got)
	}
}

func TestCompletedProcessIsKeptToItsLimitOfMemory(t *testing.T) {
	spec := script(t, awaitComplete+"x = bytearray(200 << 20)\nprint(len(x))\nimport time\ntime.sleep(60)")
	p, err := opened(t, 64<<20)(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if exit := p.Wait(); !exit.OutOfMemory {
		t.Errorf("it ends with %+v", exit)
	}
}

func TestCompleteRefusesAWritableBind(t *testing.T) {
	p, err := Start(t.Context(), Spec{Path: "/bin/sleep", Args: []string{"60"}, Network: true, MemoryBytes: 64 << 20, Open: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if p.Complete([]Bind{{Source: t.TempDir(), Target: "/var/task", Writable: true}}, 64<<20) == nil {
		t.Error("it is accepted")
	}
}
