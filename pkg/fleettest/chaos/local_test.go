package chaos

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
)

// local is the embedded stack as a process with a data folder.
type local struct {
	t          *testing.T
	args       []string
	file       string // with its export lines
	set        fleettest.Settings
	process    *process.Process
	aws, redis string // its addresses
}

func localFaults() []fault {
	return []fault{{
		name: "scriptfleet local --data killed (kill -9) under load, and on again", play: killLocal, forgets: true, crashes: true, fleet: newLocalFleet,
		ends: []string{exhausted},
	}}
}

// newLocalFleet is a fleet whose servers are `scriptfleet local --data`.
func newLocalFleet(t *testing.T) *fleet {
	t.Helper()
	l := &local{t: t, file: filepath.Join(t.TempDir(), "env"), aws: freeAddr(t), redis: freeAddr(t)}
	l.args = []string{"local", "--no-fleet", "--log-format", "json", "--partitions", strconv.Itoa(partitions),
		"--data", filepath.Join(t.TempDir(), "data"), "--aws-addr", l.aws, "--redis-addr", l.redis, "--admin-addr", "127.0.0.1:0", "--env-file", l.file}
	l.start()
	redis, err := url.Parse(l.set["REDIS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, local: l, endpoint: l.set["AWS_ENDPOINT_URL"], redisURL: l.set["REDIS_URL"], redisAddr: redis.Host,
		config: l.set.Config(), settings: l.set.Lines()}
	f.open(l.set["SCRIPTFLEET_PREFIX"])
	return f
}

// start returns when the stack can be called.
func (l *local) start() {
	l.t.Helper()
	if err := os.RemoveAll(l.file); err != nil {
		l.t.Fatal(err)
	}
	l.process = process.Start(l.t, ownEnv(l.t), filepath.Join(bin, "scriptfleet"), l.args...)
	l.set = fleettest.AwaitSettings(l.t, l.process, l.file)
}

// killLocal kills the process, and with it queues, functions, Redis and all
// Python processes. It then starts it again with the same folder, which has
// everything except Redis.
func killLocal(t *testing.T, f *fleet) {
	t.Helper()
	f.startAll(2)
	p := plan{runs: 40, scripts: 2, takes: 1}
	f.send(p)
	f.await(6)
	functions, _ := f.built(t)
	f.local.process.Kill()
	f.note("killed with %d results of %d out", f.count(), p.runs)
	f.local.start()
	if now, _ := f.built(t); now != functions {
		t.Errorf("%d functions are there after the crash, and %d were before", now, functions)
	}
	f.send(p)
}

// freeAddr is an address that stays free while the stack is away: the other
// processes of the tests, and their connections, have ports of 127.0.0.1.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
