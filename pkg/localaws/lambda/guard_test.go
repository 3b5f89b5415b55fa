package lambda

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// TestAPanicFailsOneInvocationAlone corrupts the server's data of one function.
func TestAPanicFailsOneInvocationAlone(t *testing.T) {
	core, logged := observer.New(zapcore.ErrorLevel)
	panicky := zap.Hooks(func(e zapcore.Entry) error {
		if e.Message == "start environment" {
			panic(e.Message)
		}
		return nil
	})
	var counted atomic.Int32
	b := newBench(t, func(_ *Config, d *Deps) {
		d.Log, d.Panicked = zap.New(core, panicky), func() { counted.Add(1) }
	})
	b.create("broken", echo)
	b.create("neighbour", echo+"# its own folder\n")
	code := b.server.functions["broken"].pool.program.code
	for n, c := range []struct{ hurt, mend func() error }{{
		// No environment starts, and logging that panics.
		func() error { return os.Rename(code, code+"-away") },
		func() error { return os.Rename(code+"-away", code) },
	}, {
		// The warm environment cannot be read.
		func() error { return b.change("broken", func(p *pool) { p.idle[0].reader = nil }) },
		func() error { return nil },
	}} {
		if err := c.hurt(); err != nil {
			t.Fatal(err)
		}
		_, err := b.invoke("broken", "1")
		var refused smithy.APIError
		if !errors.As(err, &refused) || refused.ErrorCode() != "ServiceException" {
			t.Fatal(err)
		}
		last := logged.FilterMessage("panic").All()[n].ContextMap()
		if id := last["id"].(string); !strings.Contains(refused.ErrorMessage(), id) || !strings.Contains(last["stack"].(string), "lambda.(*") || last["function"] != "broken" {
			t.Errorf("the answer is %q, the log %v", refused.ErrorMessage(), last)
		}
		if int(counted.Load()) != n+1 {
			t.Errorf("%d panics are counted", counted.Load())
		}
		if out, err := b.invoke("neighbour", "1"); err != nil || string(out.Payload) != "1" {
			t.Error(out, err)
		}
		if err := c.mend(); err != nil {
			t.Fatal(err)
		}
		if out, err := b.invoke("broken", "1"); err != nil || string(out.Payload) != "1" {
			t.Error("afterwards", out, err)
		}
	}
	wait.Until(t, 10*time.Second, "not both functions stay warm", func() bool { return b.warm() == 2 })
}

// change changes a function's pool under the server's lock.
func (b *bench) change(name string, f func(*pool)) error {
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	f(b.server.functions[name].pool)
	return nil
}
