package fleettest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
)

// A managed Redis fails over: its proxy keeps the connections to the server that
// was the primary, and words its refusals in its own way.
func TestAFleetGoesOnAfterARedisBehindAProxyHasFailedOver(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	first, second := redistest.Start(t), redistest.Start(t)
	second.Follow(first)
	proxy := redistest.StartProxy(t, first)
	proxy.Reword("-READONLY ", "-ERR READONLY ")
	env := []string{"REDIS_URL=" + proxy.URL()}
	dispatcher, worker := f.process("dispatcher", env), f.workerWith(env)
	ready := func(want int, says string, of ...*process.Process) {
		t.Helper()
		for _, p := range of {
			eventually(t, p.Name+" does not say: "+says, func() bool {
				code, page := get(t, p.Admin(), "/readyz")
				return code == want && strings.Contains(page, says)
			})
		}
	}
	ready(http.StatusOK, "ok", dispatcher, worker)
	f.send(good("before"))
	f.Await(t, "before")

	first.Follow(second) // which takes no writes of the fleet's yet: the proxy does not know
	f.send(good("between"))
	ready(http.StatusServiceUnavailable, "Redis answers as a replica", dispatcher, worker)
	second.Promote()
	proxy.Lead(second)
	f.Await(t, "between")
	ready(http.StatusOK, "ok", dispatcher, worker)
	f.goesOn(t)
}

func good(id string) string { return request(id, Data{Script: "def main(input):\n    return 1"}) }
