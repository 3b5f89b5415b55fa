package lambda

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// waiting is the blank that the next cold start of the runtime takes.
func (b *bench) waiting() *environment {
	b.t.Helper()
	python, _ := b.server.deps.Interpreters.For(strings.TrimPrefix(b.python, "python"))
	ready := b.server.blanks.stock(python).ready
	wait.Until(b.t, time.Minute, "no interpreter waits", func() bool { return len(ready) > 0 })
	e := <-ready
	ready <- e
	return e
}

func TestAColdStartTakesAnInterpreterThatWaits(t *testing.T) {
	b := newBench(t)
	code := "import os\ndef main(e, c):\n    return [os.environ['AWS_LAMBDA_FUNCTION_NAME'], os.getcwd(), open('/var/task/app.py').read().count('#')]\n"
	blank := b.waiting()
	b.create("first", code+"#")
	b.create("second", code+"##")
	for n, name := range []string{"first", "second"} {
		out, err := b.invoke(name, "{}")
		if want := fmt.Sprintf(`["%s", "/var/task", %d]`, name, 2+n); err != nil || string(out.Payload) != want {
			t.Errorf("%s: want %s, got %s %v", name, want, out.Payload, err)
		}
	}
	if name := blank.program.name; name != "first" {
		t.Errorf("the waiting interpreter serves %q", name)
	}
}

func TestABlankThatHasEndedIsPassedOver(t *testing.T) {
	b := newBench(t)
	b.waiting().proc.Kill()
	b.create("next", echo)
	if out, err := b.invoke("next", "7"); err != nil || string(out.Payload) != "7" {
		t.Errorf("%v %v", out, err)
	}
}

func TestBlanksEndWhenTheirRuntimeIsNoLongerUsed(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.IdleTimeout = time.Second })
	blank := b.waiting()
	select {
	case <-blank.proc.Gone():
	case <-time.After(time.Minute):
		t.Error("the interpreter still waits")
	}
}
