package lambda

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// taken creates a function, invokes it, and takes its environment.
func (b *bench) taken(code string) (*pool, *environment) {
	b.t.Helper()
	b.create("next", code, alone)
	if _, err := b.invoke("next", `""`); err != nil {
		b.t.Fatal(err)
	}
	b.server.mu.Lock()
	p := b.server.functions["next"].pool
	b.server.mu.Unlock()
	got := p.acquire(b.t.Context())
	if got.env == nil {
		b.t.Fatal(got)
	}
	return p, got.env
}

func TestAnEnvironmentIsFrozenOnceItIsIdle(t *testing.T) {
	b := newBench(t)
	p, env := b.taken("def main(e, c):\n    return e\n")
	o := env.invoke("1", "", []byte("1"))
	if string(o.payload) != "1" || env.frozen || p.withdraw(env) {
		t.Errorf("payload %s, frozen before it is idle: %t", o.payload, env.frozen)
	}
	p.release(env, o)
	wait.Until(t, 10*time.Second, "it is not frozen", func() bool {
		b.server.mu.Lock()
		defer b.server.mu.Unlock()
		return len(p.idle) == 1 && env.frozen && p.busy == 0
	})
	wait.Until(t, 10*time.Second, "its process is not stopped", func() bool { return slices.Equal(runtimeStates(), []string{"T"}) })
	if out, err := b.invoke("next", "2"); err != nil || string(out.Payload) != "2" {
		t.Error("after that it answers", out, err)
	}
}

func TestAFreezeTakesWhatIsIdleLongEnoughAndKeepsItsPlace(t *testing.T) {
	s := newBench(t).server
	now := time.Now()
	first, second, last := &environment{idleSince: now.Add(-2 * time.Hour)}, &environment{idleSince: now.Add(-time.Hour)}, &environment{idleSince: now.Add(time.Hour)}
	p := &pool{server: s, idle: []*environment{first, second, last}}
	s.mu.Lock()
	s.warm += 3
	s.mu.Unlock()
	if p.withdraw(last) || !p.withdraw(first) || p.withdraw(first) || p.busy != 1 {
		t.Fatalf("idle: %v, busy: %d", p.idle, p.busy)
	}
	first.frozen = true
	p.lay(first, true)
	s.work.Done()
	if p.withdraw(first) || p.busy != 0 || !slices.Equal(p.idle, []*environment{first, second, last}) {
		t.Errorf("idle: %v, busy: %d", p.idle, p.busy)
	}
}

func TestWhatAnInvocationLeavesEndsBeforeItsAnswer(t *testing.T) {
	p, env := newBench(t).taken(`
import subprocess
def main(e, c):
    if e: subprocess.Popen(["/bin/sh", "-c", "echo begun; sleep 300; : " + e], stdout=subprocess.PIPE, start_new_session=True).stdout.readline()
    return e
`)
	marker := fmt.Sprintf("left-%d", time.Now().UnixNano())
	o := env.invoke("1", "", fmt.Appendf(nil, "%q", marker))
	if left := process.Marked("cmdline", marker); !strings.Contains(string(o.payload), marker) || len(left) > 0 {
		t.Errorf("it answers %s and leaves %v", o.payload, left)
	}
	p.release(env, o)
}
