package fleettest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
)

func TestProcessesOfDifferentPartitionsSaySo(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	dispatcher, worker := f.dispatcher(), f.worker("--partitions", "4")
	const why = "sends to 8 partitions and worker"
	for name, p := range map[string]*process.Process{"dispatcher": dispatcher, "worker": worker} {
		eventually(t, "the "+name+" does not say that it differs", func() bool {
			code, body := get(t, p.Admin(), "/readyz")
			return code == http.StatusServiceUnavailable && strings.Contains(body, why)
		})
	}
	if got := command(t, f.env(), "", "check"); got.Code == 0 || !strings.Contains(got.Stderr, why) {
		t.Errorf("check exits %d: %s", got.Code, got.Stderr)
	}
	if got := command(t, f.env(), "", "check", "--partitions", "4"); got.Code == 0 || !strings.Contains(got.Stderr, "give the command --partitions 8") {
		t.Errorf("check of other partitions exits %d: %s", got.Code, got.Stderr)
	}
	if got := command(t, f.env(), "", "explain", "unknown"); !strings.Contains(got.Stdout, why) {
		t.Errorf("explain says %s", got.Stdout)
	}

	worker.Terminate()
	f.worker()
	eventually(t, "the dispatcher is not ready again", func() bool {
		code, _ := get(t, dispatcher.Admin(), "/readyz")
		return code == http.StatusOK
	})
	f.goesOn(t)
	if got := command(t, f.env(), "", "check", "--idle"); got.Code != 0 {
		t.Errorf("check exits %d: %s", got.Code, got.Stderr)
	}
}
