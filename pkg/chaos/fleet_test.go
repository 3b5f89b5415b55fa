package chaos

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/redistest"
)

// fleet is one fault's own: a stack, a Redis, and processes.
type fleet struct {
	*story
	t       *testing.T
	stack   *localaws.Stack
	redis   *redistest.Server
	names   queue.Names
	mark    string // in the environment of all its processes
	runtime string

	processes []*process
}

const partitions = 2

func newFleet(t *testing.T) *fleet {
	t.Helper()
	stack, err := localaws.Start(t.Context(), localaws.Config{Partitions: partitions, CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := stack.Close(ctx); err != nil {
			t.Errorf("close the stack: %v", err)
		}
	})
	f := &fleet{
		t: t, stack: stack, redis: redistest.Start(t), mark: "CHAOS_FLEET=" + uuid.NewString(),
		names: queue.NamesOf(stack.Config().Prefix, partitions), runtime: newestRuntime(t),
	}
	f.story = newStory(t, stack.AWSConfig(), f.names, f.runtime)
	return f
}

// newestRuntime is that of the newest Python here.
var newestRuntime = func() func(*testing.T) string {
	find := sync.OnceValues(func() (string, error) {
		set, err := interpreter.Default(context.Background())
		if err != nil {
			return "", err
		}
		newest, ok := set.Newest()
		if !ok {
			return "", fmt.Errorf("no Python is installed")
		}
		return "python" + newest.Minor, nil
	})
	return func(t *testing.T) string {
		t.Helper()
		name, err := find()
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
}()

// start starts a process on lines of its own.
func (f *fleet) start(name string, args ...string) *process {
	f.t.Helper()
	var p *process
	seen := func(c call) { c.by = p; f.saw(c) }
	awsTap, awsAddr := newAWSTap(f.t, f.stack.Endpoint(), seen)
	redisTap, redisAddr := newRedisTap(f.t, f.redis.Addr, seen)
	aws, redis := newLine(f.t, awsAddr), newLine(f.t, redisAddr)
	args = append([]string{"--admin-addr", "127.0.0.1:0", "--log-format", "json", "--poll-wait", "2s", "--drain", "60s"}, args...)
	p = start(f.t, name, f.env("http://"+aws.addr, "redis://"+redis.addr+"/0"), args...)
	p.aws, p.awsTap, p.redis, p.redisTap = aws, awsTap, redis, redisTap
	f.processes = append(f.processes, p)
	return p
}

func (f *fleet) dispatcher() *process { f.t.Helper(); return f.start("dispatcher") }

func (f *fleet) worker(args ...string) *process {
	f.t.Helper()
	return f.start("worker", append([]string{"--concurrency", "4"}, args...)...)
}

// env is that of a process: the machine's own, and where the servers are.
func (f *fleet) env(awsURL, redisURL string) []string {
	env := append(ownEnv(f.t), f.mark)
	env = append(env, f.stack.Env()...)
	return append(env, "AWS_ENDPOINT_URL="+awsURL, "REDIS_URL="+redisURL)
}

// ownEnv is the machine's own, without what would point a process elsewhere.
func ownEnv(t *testing.T) []string {
	t.Helper()
	uv, err := mototest.Tool("uv")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"SCRIPTFLEET_UV=" + uv, "XDG_CACHE_HOME=" + cache, "SCRIPTFLEET_DEFAULT_RUNTIME=" + newestRuntime(t)}
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "AWS_") && !strings.HasPrefix(line, "SCRIPTFLEET_") && !strings.HasPrefix(line, "REDIS_URL=") {
			env = append(env, line)
		}
	}
	return env
}

// stop asks all processes that live to stop, at once.
func (f *fleet) stop() {
	f.t.Helper()
	var alive []*process
	for _, p := range f.processes {
		if !p.gone() {
			p.askToStop()
			alive = append(alive, p)
		}
	}
	for _, p := range alive {
		p.awaitStop()
	}
}
