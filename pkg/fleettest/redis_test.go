package fleettest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
)

// A managed Redis fails over: its proxy keeps the connections to the old
// primary, and rewords its refusals.
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

	first.Follow(second) // a replica refuses the fleet's writes, until the proxy leads to the other
	f.send(good("between"))
	ready(http.StatusServiceUnavailable, "Redis answers as a replica", dispatcher, worker)
	second.Promote()
	proxy.Lead(second)
	f.Await(t, "between")
	ready(http.StatusOK, "ok", dispatcher, worker)
	f.goesOn(t)
}

func TestAProcessThatFindsAClusterTakesNoWorkAndSaysWhy(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	cluster := redistest.Start(t, "--cluster-enabled", "yes")
	cluster.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	env := []string{"REDIS_URL=" + cluster.URL}
	for _, p := range []*process.Process{f.process("dispatcher", env), f.workerWith(env)} {
		eventually(t, p.Name+" does not say that Redis is a cluster", func() bool {
			code, page := get(t, p.Admin(), "/readyz")
			return code == http.StatusServiceUnavailable && strings.Contains(page, "Redis runs in cluster mode, which scriptfleet does not use")
		})
	}
}

func TestCheckDoesNotVouchForBooksThatRedisHasEvictedFrom(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	full := redistest.Start(t, "--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
	env := []string{"REDIS_URL=" + full.URL}
	worker := f.workerWith(env)
	says := func(words string) {
		t.Helper()
		eventually(t, "the worker does not say: "+words, func() bool {
			code, page := get(t, worker.Admin(), "/readyz")
			return code == http.StatusOK && strings.Contains(page, words)
		})
	}
	says("Redis evicts keys once its memory is full (maxmemory-policy is allkeys-lru)")
	if got := command(t, f.env(env...), "", "check"); got.Code != 0 {
		t.Errorf("nothing was evicted, and check exits %d: %s", got.Code, got.Stderr)
	}
	rdb := redistest.Connect(t, full.Addr)
	for i := range 100 {
		if err := rdb.Set(t.Context(), fmt.Sprint("k", i), make([]byte, 100_000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	says("runs may be missing from the books")
	if metric(t, worker.Admin(), "scriptfleet_redis_evicted_keys") == 0 {
		t.Error("the metric tells of none")
	}
	if got := command(t, f.env(env...), "", "check"); got.Code != 1 || !strings.Contains(got.Stderr, "the books can't be trusted: Redis has evicted") {
		t.Errorf("check exits %d: %s%s", got.Code, got.Stdout, got.Stderr)
	}
}

func good(id string) string { return request(id, Data{Script: "def main(input):\n    return 1"}) }

// The log of an outage has one line for each fault when it begins and one when
// it ends, and none of a client library's own.
func TestAnOutageOfRedisIsToldInAFewLines(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	rdb := redistest.Start(t)
	env := []string{"REDIS_URL=" + rdb.URL}
	processes := []*process.Process{f.process("dispatcher", env, "--log-format", "json"), f.workerWith(env, "--log-format", "json")}
	const atWork, waiting = 40, 100
	slow := func(i int) string {
		return request(fmt.Sprint("run-", i), Data{Script: "import time\ndef main(input):\n    time.sleep(1)"})
	}
	for i := range atWork {
		f.send(slow(i))
	}
	f.Await(t, "run-1") // the other runs are at work
	rdb.Stop()
	for i := range waiting {
		f.send(slow(atWork + i))
	}
	for _, p := range processes {
		eventually(t, p.Name+" does not notice the outage for ten tries", func() bool {
			code, page := get(t, p.Admin(), "/readyz")
			return code == http.StatusServiceUnavailable && regexp.MustCompile(`redis +down for (1[0-9]|[2-9][0-9])s`).MatchString(page)
		})
	}
	rdb.Restart()
	for i := range atWork + waiting {
		f.Await(t, fmt.Sprint("run-", i))
	}
	for _, p := range processes {
		eventually(t, p.Name+" is not ready again", func() bool { code, _ := get(t, p.Admin(), "/readyz"); return code == http.StatusOK })
		told := map[string]int{}
		for line := range strings.Lines(p.Said()) {
			var entry struct{ Level, Msg string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Errorf("%s says what is no JSON: %s", p.Name, line)
			}
			if told[entry.Msg]++; entry.Level == "warn" && told[entry.Msg] > 2 {
				t.Errorf("%s repeats: %s", p.Name, line)
			}
		}
		if told["a part is down; it is tried again"] == 0 || told["a part is up again"] == 0 {
			t.Errorf("%s does not tell of the outage: %v", p.Name, told)
		}
	}
}
