package worker_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/worker"
)

func TestRunsOfATenantThatTheFileStopsWaitUntilItIsLetGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tenants.json")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(`{"tenants":{"acme":{"max_running":0},"globex":{}}}`)
		b := newBench(t, worker.Config{})
		var err error
		if b.settings, err = tenant.New(tenant.Config{Path: path}, tenant.Deps{}); err != nil {
			t.Fatal(err)
		}
		following, stop := context.WithCancel(context.Background())
		defer stop()
		go func() { _ = b.settings.Run(following) }()
		b.start()
		defer b.Stop()

		stopped := ask("stopped")
		b.send(stopped, ask("other", of("globex")))
		if got := b.result(); got.Tenant != "globex" || got.Data.Status != run.Succeeded {
			t.Errorf("a result is %+v, want the other tenant's", got)
		}
		time.Sleep(10 * time.Minute)
		b.executions(1)
		record, err := b.ledger.Lookup(context.Background(), run.KeyOf("acme", stopped.Source, stopped.ID))
		if err != nil || record.State == ledger.Published || !strings.Contains(record.Waiting, "max_running is 0") {
			t.Errorf("the ledger has %+v, %v", record, err)
		}

		write(`{"tenants":{"acme":{},"globex":{}}}`)
		if d := b.result().Data; d.Status != run.Succeeded || d.Attempt != 1 {
			t.Errorf("its result is %+v", d)
		}
	})
}

// SQS calls a delivery a dead letter after 1,000 receives, and drops it after four
// days.
func TestRunOfATenantThatStaysStoppedEndsBeforeItsQueueGivesItUp(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.limits.MaxRunning = 0
		b.send(ask("r"))
		time.Sleep(95 * time.Hour)
		res := b.want("r", run.Expired, 1)
		if e := res.Data.Error; e == nil || e.Type != "TenantStopped" || res.Data.MayHaveExecuted {
			t.Errorf("its result is %+v", res.Data)
		}
		if n := b.counter("scriptfleet_worker_received_total"); n > 900 {
			t.Errorf("it was received %g times", n)
		}
		b.executions(0)
	})
}

func TestATenantWithoutACapAsksForNoSlot(t *testing.T) {
	with(t, worker.Config{}, func(b *bench) {
		b.lasting(10 * time.Second)
		b.send(ask("one"))
		b.executions(1)
		b.inUse(0)
		b.result()
	})
}
