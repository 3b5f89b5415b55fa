package dispatcher_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap/zapcore"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestPanicFailsItsRequestAndNoOther(t *testing.T) {
	with(t, func(b *bench) {
		b.cursed = "cursed"
		b.send(ask("before"), ask("r", of("cursed")), ask("after"))
		res := b.answers(1)[0]
		if e := res.Data.Error; res.Tenant != "cursed" || res.Data.Status != run.PlatformError || e.Owner != run.OwnerPlatform || res.Data.MayHaveExecuted {
			t.Errorf("the answer is %+v, %+v", res.Data, e)
		}
		lines := b.logs.FilterMessage("panic").All()
		if len(lines) != 1 || lines[0].Level != zapcore.ErrorLevel {
			t.Fatalf("the log has %+v", lines)
		}
		fields := lines[0].ContextMap()
		if id, _ := fields["id"].(string); id == "" || !strings.Contains(res.Data.Error.Message, id) {
			t.Errorf("the id %v of the log is not in %q", fields["id"], res.Data.Error.Message)
		}
		if stack, _ := fields["stack"].(string); !strings.Contains(stack, "dispatcher_test.(*bench)") {
			t.Errorf("the stack is %s", stack)
		}
		if n := len(b.sent()); n != 2 {
			t.Errorf("%d of the other requests were sent, want 2", n)
		}
		b.nothingLeft()
		want := "# HELP scriptfleet_dispatcher_panics_total Panics, each of which failed one request.\n" +
			"# TYPE scriptfleet_dispatcher_panics_total counter\nscriptfleet_dispatcher_panics_total 1\n"
		if err := testutil.GatherAndCompare(b.metrics, strings.NewReader(want), "scriptfleet_dispatcher_panics_total"); err != nil {
			t.Error(err)
		}
	})
}

func TestRequestThatCannotEvenBeAnsweredIsBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatcher.Config{}, func(d *dispatcher.Deps) { d.Policy = nil })
		b.start()
		defer func() { b.Stop() }()
		b.send(ask("r"))
		ds := b.take(b.dead)
		if len(ds) != 1 || ds[0].Attributes[run.AttributeErrorType] != "InternalError" {
			t.Errorf("the dead letters are %+v", ds)
		}
		b.answers(0)
		b.nothingLeft()
	})
}
