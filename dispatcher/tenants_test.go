package dispatcher_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/toptenants"
)

func TestTheLargestBacklogsAreShownByTenant(t *testing.T) {
	with(t, func(b *bench) {
		of := func(name string) func(*run.Request) { return func(r *run.Request) { r.Tenant = name } }
		for i := range 2 * toptenants.Size {
			b.send(ask(fmt.Sprint("small-", i), of(fmt.Sprint("small-", i))))
		}
		for i := range 7 {
			b.send(ask(fmt.Sprint("large-", i), of("large")))
		}
		time.Sleep(2 * time.Second)
		const name = "scriptfleet_dispatcher_tenant_backlog"
		if n, err := testutil.GatherAndCount(b.metrics, name); err != nil || n != toptenants.Size+1 {
			t.Errorf("%d series: %v", n, err)
		}
		families, err := b.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		shown := ""
		for _, f := range families {
			if f.GetName() == name {
				shown = strings.Join(strings.Fields(f.String()), " ")
			}
		}
		for _, want := range []string{
			`value:"large"} gauge:{value:7}`, fmt.Sprintf(`value:%q} gauge:{value:%d}`, toptenants.Other, toptenants.Size+1),
		} {
			if !strings.Contains(shown, want) {
				t.Errorf("%s is missing in %s", want, shown)
			}
		}
	})
}
