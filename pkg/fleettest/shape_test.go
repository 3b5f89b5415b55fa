package fleettest

import (
	"io"
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
			code, body := readyz(t, p.Admin())
			return code == http.StatusServiceUnavailable && strings.Contains(body, why)
		})
	}
	if got := command(t, f.env(), "", "check"); got.code == 0 || !strings.Contains(got.stderr, why) {
		t.Errorf("check exits %d: %s", got.code, got.stderr)
	}
	if got := command(t, f.env(), "", "check", "--partitions", "4"); got.code == 0 || !strings.Contains(got.stderr, "give the command --partitions 8") {
		t.Errorf("check of other partitions exits %d: %s", got.code, got.stderr)
	}
	if got := command(t, f.env(), "", "explain", "unknown"); !strings.Contains(got.stdout, why) {
		t.Errorf("explain says %s", got.stdout)
	}

	worker.Terminate()
	f.worker()
	eventually(t, "the dispatcher is not ready again", func() bool {
		code, _ := readyz(t, dispatcher.Admin())
		return code == http.StatusOK
	})
	f.goesOn(t)
	if got := command(t, f.env(), "", "check", "--idle"); got.code != 0 {
		t.Errorf("check exits %d: %s", got.code, got.stderr)
	}
}

func readyz(t *testing.T, admin string) (code int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(page)
}
