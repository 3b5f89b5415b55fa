package chaos

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/lambda"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// fleet is the fleet of one fault: servers, and the processes that use them.
type fleet struct {
	*story
	t     *testing.T
	names queue.Names
	mark  string // in the environment of all its processes
	parts []*part
	notes []string // measurements besides the promises

	// The servers' own addresses, not those of lines.
	config    aws.Config
	endpoint  string
	redisURL  string
	redisAddr string
	settings  []string // more settings for each process

	stack *localaws.Stack   // nil if the stack is another process
	redis *redistest.Server // nil if the stack's own Redis is used
	local *local            // that other process, or nil
}

const partitions = 2

// part is a dispatcher or a worker, with its lines to the servers.
type part struct {
	*process.Process
	t          *testing.T
	aws, redis *line
	awsTap     *awsTap
	redisTap   *redisTap
}

// newFleet starts the embedded stack in this process, so that tests can set its
// faults, and a redis-server.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	stack := stack.Start(t, localaws.Config{Partitions: partitions, CacheDir: cache})
	redis := redistest.Start(t)
	f := &fleet{
		t: t, stack: stack, redis: redis, config: stack.AWSConfig(), endpoint: stack.Endpoint(),
		redisURL: redis.URL, redisAddr: redis.Addr, settings: stack.Env(),
	}
	f.open(stack.Config().Prefix)
	return f
}

// open starts the story, once the servers run.
func (f *fleet) open(prefix string) {
	f.t.Helper()
	f.names, f.mark = queue.NamesOf(prefix, partitions), "CHAOS_FLEET="+uuid.NewString()
	f.story = newStory(f.t, f.config, f.names)
}

// start starts a process with its own lines.
func (f *fleet) start(name string, args ...string) *part {
	f.t.Helper()
	return f.startUnder(nil, name, args...)
}

// startUnder starts the process through other programs that exec it.
func (f *fleet) startUnder(by []string, name string, args ...string) *part {
	f.t.Helper()
	tag := fmt.Sprint(name, " ", len(f.parts))
	seen := func(c call) { c.by = tag; f.saw(c) }
	awsTap, awsAddr := newAWSTap(f.t, f.endpoint, seen)
	redisTap, redisAddr := newRedisTap(f.t, f.redisAddr, seen)
	aws, redis := newLine(f.t, awsAddr), newLine(f.t, redisAddr)
	args = append([]string{"--admin-addr", "127.0.0.1:0", "--log-format", "json", "--poll-wait", "2s", "--drain", "60s"}, args...)
	command := slices.Concat(by, []string{filepath.Join(bin, name)}, args)
	env := f.env("http://"+aws.addr, strings.Replace(f.redisURL, f.redisAddr, redis.addr, 1))
	p := process.StartAs(f.t, name, env, command[0], command[1:]...)
	p.Tag = tag
	f.parts = append(f.parts, &part{p, f.t, aws, redis, awsTap, redisTap})
	return f.parts[len(f.parts)-1]
}

func (f *fleet) dispatcher() *part { f.t.Helper(); return f.start("dispatcher") }

// worker starts a worker that executes four runs at a time, unless args change
// that.
func (f *fleet) worker(args ...string) *part {
	f.t.Helper()
	return f.start("worker", append([]string{"--concurrency", "4"}, args...)...)
}

// note records a measurement for the table.
func (f *fleet) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// startAll starts a dispatcher and n workers.
func (f *fleet) startAll(n int) (workers []*part) {
	f.t.Helper()
	f.dispatcher()
	for range n {
		workers = append(workers, f.worker())
	}
	return workers
}

// ready waits until the process has logged that it runs.
func (p *part) ready() *part {
	p.t.Helper()
	wait.Until(p.t, within, p.Name+" does not run", func() bool { return strings.Contains(p.Said(), p.Name+" runs") })
	return p
}

// said tells whether a process has logged the words.
func (f *fleet) said(words string) bool {
	for _, p := range f.parts {
		if strings.Contains(p.Said(), words) {
			return true
		}
	}
	return false
}

// env is a process's environment, with the given addresses of the servers.
func (f *fleet) env(awsURL, redisURL string) []string {
	// Each script has a function of its own, and nothing else has: see oneBuild.
	// What becomes of env runners under faults is for package simulation.
	return append(append(ownEnv(f.t, f.mark), f.settings...), "AWS_ENDPOINT_URL="+awsURL, "REDIS_URL="+redisURL, "SCRIPTFLEET_ENV_RUNNER=off")
}

// stop asks all live processes to stop, all at once.
func (f *fleet) stop() {
	f.t.Helper()
	var alive []*part
	for _, p := range f.parts {
		if !p.Gone() {
			p.Send(syscall.SIGTERM)
			alive = append(alive, p)
		}
	}
	for _, p := range alive {
		p.AwaitStop()
	}
}

// check runs scriptfleet check.
func (f *fleet) check() (string, error) {
	cmd := exec.CommandContext(f.t.Context(), filepath.Join(bin, "scriptfleet"), "check", "--idle", "--settle", "90s")
	cmd.Env = f.env(f.endpoint, f.redisURL)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// queueFault sets a fault of SQS; remove removes it.
func (f *fleet) queueFault(x sqs.Fault) (remove func()) { return f.stack.QueueFaults().Add(x) }

// lambdaFault sets a fault of Lambda; remove removes it.
func (f *fleet) lambdaFault(x lambda.Fault) (remove func()) {
	f.t.Helper()
	faults := f.stack.LambdaFaults(f.t.Context())
	if faults == nil {
		f.t.Fatal("the embedded Lambda does not come up")
	}
	return faults.Add(x)
}
