package chaos

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// local is the embedded stack as a process, which keeps its data in a folder.
type local struct {
	t          *testing.T
	args       []string
	file       string // of its export lines
	set        map[string]string
	process    *process
	aws, redis string // its addresses
}

func localFaults() []fault {
	return []fault{{
		name: "scriptfleet local --data killed (kill -9) under load, and on again", play: killLocal, forgets: true, crashes: true, fleet: newLocalFleet,
		ends: []string{exhausted},
	}}
}

// newLocalFleet has `scriptfleet local --data` for its servers.
func newLocalFleet(t *testing.T) *fleet {
	t.Helper()
	l := &local{t: t, file: filepath.Join(t.TempDir(), "env"), aws: freeAddr(t), redis: freeAddr(t)}
	l.args = []string{"local", "--no-fleet", "--log-format", "json", "--partitions", strconv.Itoa(partitions),
		"--data", filepath.Join(t.TempDir(), "data"), "--aws-addr", l.aws, "--redis-addr", l.redis, "--env-file", l.file}
	l.start()
	redis, err := url.Parse(l.set["REDIS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, local: l, endpoint: l.set["AWS_ENDPOINT_URL"], redisURL: l.set["REDIS_URL"], redisAddr: redis.Host,
		config: aws.Config{
			Region: l.set["AWS_REGION"], BaseEndpoint: aws.String(l.set["AWS_ENDPOINT_URL"]),
			Credentials: credentials.NewStaticCredentialsProvider(l.set["AWS_ACCESS_KEY_ID"], l.set["AWS_SECRET_ACCESS_KEY"], ""),
		}}
	for name, value := range l.set {
		f.settings = append(f.settings, name+"="+value)
	}
	f.open(l.set["SCRIPTFLEET_PREFIX"])
	return f
}

var export = regexp.MustCompile(`(?m)^export (\w+)='(.*)'$`)

// start returns when the stack can be called.
func (l *local) start() {
	l.t.Helper()
	if err := os.RemoveAll(l.file); err != nil {
		l.t.Fatal(err)
	}
	l.process = start(l.t, "scriptfleet", ownEnv(l.t), l.args...)
	l.set = map[string]string{}
	eventually(l.t, "scriptfleet local does not come up", func() bool {
		if l.process.gone() {
			l.t.Fatal("scriptfleet local has ended")
		}
		lines, _ := os.ReadFile(l.file)
		for _, m := range export.FindAllStringSubmatch(string(lines), -1) {
			l.set[m[1]] = m[2]
		}
		return len(l.set) > 0
	})
}

// killLocal ends queues, functions, Redis and all Python processes at once, and
// has them back from the folder, but for Redis.
func killLocal(t *testing.T, f *fleet) {
	t.Helper()
	f.startAll(2)
	p := plan{runs: 40, scripts: 2, takes: 1}
	f.send(p)
	f.await(6)
	functions, _ := f.built(t)
	f.local.process.kill()
	f.note("killed with %d results of %d out", f.count(), p.runs)
	f.local.start()
	if now, _ := f.built(t); now != functions {
		t.Errorf("%d functions are there after the crash, and %d were before", now, functions)
	}
	f.send(p)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
