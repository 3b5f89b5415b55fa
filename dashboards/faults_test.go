package dashboards

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// byRealFaults are the alerts that alertsFireAndEnd shows, each with its fault.
var byRealFaults = map[string]string{
	"ScriptfleetDeadLetter":     "a request names no tenant; `scriptfleet dlq delete` deletes it",
	"ScriptfleetResultsLag":     "nobody takes 1,001 results",
	"ScriptfleetSettingsFaulty": "the tenants' file is no JSON",
	"ScriptfleetRedisEvicts":    "a full Redis evicts keys; `CONFIG RESETSTAT` after it",
	"ScriptfleetRedisSettings":  "Redis has the policy `volatile-ttl`",
	"ScriptfleetNoWorker":       "both workers are killed",
	"ScriptfleetProcessLost":    "both workers are killed",
	"ScriptfleetBacklog":        "runs come while both workers are dead",
	"ScriptfleetNoDispatcher":   "the only dispatcher is killed",
	"ScriptfleetQuietStart":     "requests wait while the only dispatcher is dead",
	"ScriptfleetDelivery":       "requests wait while the only dispatcher is dead",
	"ScriptfleetNotReady":       "Redis and AWS hang while workers start",
}

// alertsFireAndEnd causes faults, sees their alerts fire, mends the faults, and sees
// the alerts end. Faults that do not touch each other's series happen at once.
func (s *site) alertsFireAndEnd(t *testing.T) {
	f := &s.fleet
	seen := sightings{site: s, fired: map[string]bool{}, began: time.Now()}
	f.second.Kill() // faultsAreShown has done so, if it was run
	s.prometheus.changeRules(t, shorten)
	evaluated := fmt.Sprintf(`timestamp(scriptfleet:slo:budget) > %d`, time.Now().Add(time.Second).Unix())
	wait.Until(t, within, "the changed rules are not evaluated", func() bool { return s.prometheus.hasData(t, evaluated) })

	// A dispatcher looks at its queues seldom while nothing changes.
	f.send(t, "requests", `{"specversion":"1.0"}`)
	f.send(t, "results", slices.Repeat([]string{"{}"}, 1001)...)
	// A process looks at Redis's settings as it starts, and then seldom.
	f.fillRedis(t)
	f.second = f.start(t, "worker", f.second.Admin())
	seen.fire(t, "ScriptfleetRedisEvicts", "ScriptfleetRedisSettings")
	f.redis(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	f.redis(t, "CONFIG", "RESETSTAT")
	seen.end(t, "ScriptfleetProcessLost", "ScriptfleetNoWorker", "ScriptfleetBacklog", "ScriptfleetQuietStart", "ScriptfleetDelivery")

	f.write(t, "{")
	f.first.Kill()
	f.second.Kill()
	f.request(t, 20)
	seen.fire(t, "ScriptfleetSettingsFaulty")
	f.write(t, "{}")
	seen.fire(t, "ScriptfleetDeadLetter", "ScriptfleetResultsLag", "ScriptfleetNoWorker", "ScriptfleetProcessLost", "ScriptfleetBacklog")
	f.run(t, "dlq", "delete", "--requests", "--all")
	f.purge(t, "results")
	seen.end(t, "ScriptfleetDeadLetter", "ScriptfleetResultsLag", "ScriptfleetSettingsFaulty")

	f.dispatcher.Kill()
	f.request(t, 20)
	f.stack.Send(syscall.SIGSTOP)
	f.first, f.second = f.start(t, "worker", f.first.Admin()), f.start(t, "worker", f.second.Admin())
	seen.fire(t, "ScriptfleetNoDispatcher", "ScriptfleetNotReady")
	f.stack.Send(syscall.SIGCONT)
	// A rate has nothing of the runs before a process's first scrape: the workers are
	// scraped before they get the requests that waited.
	s.scraped(t, "scriptfleet-worker", 2)
	f.dispatcher = f.start(t, "dispatcher", f.dispatcher.Admin())
	seen.fire(t, "ScriptfleetQuietStart", "ScriptfleetDelivery")
	seen.end(t, slices.Collect(maps.Keys(byRealFaults))...)

	for alert := range byRealFaults {
		if !seen.fired[alert] {
			t.Errorf("byRealFaults has %s, and no fault of it is caused here", alert)
		}
	}
}

// scraped waits until n processes of a job have been scraped twice lately.
func (s *site) scraped(t *testing.T, job string, n int) {
	t.Helper()
	wait.Until(t, within, "prometheus does not scrape "+job, func() bool {
		return s.prometheus.hasData(t, fmt.Sprintf(`count(sum_over_time(up{job=%q}[10s]) >= 2) == %d`, job, n))
	})
}

// sightings are the alerts that fired on a fault.
type sightings struct {
	site  *site
	fired map[string]bool
	began time.Time
}

// fire waits until each of the alerts fires.
func (seen sightings) fire(t *testing.T, alerts ...string) {
	t.Helper()
	for _, alert := range alerts {
		seen.fired[alert] = true
	}
	seen.await(t, alerts, "fires", true)
}

// end waits until each of the alerts does not fire.
func (seen sightings) end(t *testing.T, alerts ...string) {
	t.Helper()
	seen.await(t, alerts, "ends", false)
}

func (seen sightings) await(t *testing.T, alerts []string, does string, firing bool) {
	t.Helper()
	if !wait.Soon(within, func() bool {
		var fire []string
		for _, alert := range seen.site.prometheus.values(t, `ALERTS{alertstate="firing"}`) {
			fire = append(fire, alert.labels["alertname"])
		}
		alerts = slices.DeleteFunc(alerts, func(alert string) bool {
			if slices.Contains(fire, alert) != firing {
				return false
			}
			t.Logf("%5.1f s: %s %s", time.Since(seen.began).Seconds(), alert, does)
			return true
		})
		return len(alerts) == 0
	}) {
		t.Fatalf("not each alert %s within %s: not %s", does, within, strings.Join(alerts, ", "))
	}
}

// shorten makes seconds of the minutes of rules: what a test waits for must be soon
// over. An alert does not wait, and of the objectives' windows all are short. Its
// bounds of delays shrink as well.
func shorten(rules string) string {
	rules = regexp.MustCompile(`for: \w+`).ReplaceAllString(rules, "for: 0s")
	rules = regexp.MustCompile(`\[\d+[mhd](:15s)?\]`).ReplaceAllStringFunc(rules, func(window string) string {
		switch {
		case strings.Contains(window, ":"):
			return "[6s:1s]"
		case window == "[5m]":
			return "[6s]" // a rate needs two scrapes
		}
		return "[3s]"
	})
	return strings.ReplaceAll(rules, `le=~"60|60.0"`, `le="2.5"`)
}

func (f *ourFleet) queue(t *testing.T, name string) (*sqs.Client, *string) {
	t.Helper()
	client := sqs.NewFromConfig(f.set.Config())
	found, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(f.set["SCRIPTFLEET_PREFIX"] + "-" + name)})
	if err != nil {
		t.Fatal(err)
	}
	return client, found.QueueUrl
}

// send sends messages to a queue.
func (f *ourFleet) send(t *testing.T, name string, bodies ...string) {
	t.Helper()
	client, url := f.queue(t, name)
	for batch := range slices.Chunk(bodies, 10) {
		var entries []types.SendMessageBatchRequestEntry
		for i, body := range batch {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(body)})
		}
		if _, err := client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries}); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *ourFleet) purge(t *testing.T, name string) {
	t.Helper()
	client, url := f.queue(t, name)
	if _, err := client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url}); err != nil {
		t.Fatal(err)
	}
}

// request sends the runs of n tenants, one each.
func (f *ourFleet) request(t *testing.T, n int) {
	t.Helper()
	var bodies []string
	for i := range n {
		id := strconv.FormatInt(time.Now().UnixNano(), 10)
		bodies = append(bodies, fleettest.Request(fmt.Sprint("tenant-", i), id, fleettest.Data{Script: "def main(input): return 1"}))
	}
	f.send(t, "requests", bodies...)
}

// run runs a command of scriptfleet's.
func (f *ourFleet) run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), f.command, args...)
	cmd.Env = f.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scriptfleet %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// write writes the tenants' settings.
func (f *ourFleet) write(t *testing.T, settings string) {
	t.Helper()
	if err := os.WriteFile(f.tenants, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fillRedis lets Redis evict keys with a TTL, and makes it do so for a moment: the
// keys of a neighbour, which expire before those of the fleet.
func (f *ourFleet) fillRedis(t *testing.T) {
	t.Helper()
	used := regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(fmt.Sprint(f.redis(t, "INFO", "memory")))
	n, err := strconv.Atoi(used[1])
	if err != nil {
		t.Fatal(err)
	}
	f.redis(t, "CONFIG", "SET", "maxmemory", n+(2<<20), "maxmemory-policy", "volatile-ttl")
	for i := range 40 {
		f.redis(t, "SET", fmt.Sprint("neighbour-", i), strings.Repeat("x", 100_000), "PX", "5000")
	}
	f.redis(t, "CONFIG", "SET", "maxmemory", "0")
}

func (f *ourFleet) redis(t *testing.T, command ...any) any {
	t.Helper()
	opts, err := redis.ParseURL(f.set["REDIS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer client.Close()
	answer, err := client.Do(t.Context(), command...).Result()
	if err != nil {
		t.Fatalf("%v: %v", command[0], err)
	}
	return answer
}
