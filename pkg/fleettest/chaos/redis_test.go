package chaos

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// leaseTTL is the TTL of a build's lease in package builds.
const leaseTTL = 15 * time.Second

func redisFaults() []fault {
	all := []fault{
		{name: "a lease's holder stopped (SIGSTOP) past its TTL, and on again", play: stopHolder, crashes: true},
		{name: "Redis flushed in the middle of a build", play: flushInBuild, forgets: true},
		{name: "Redis flushed in the middle of runs", play: flushInRuns, forgets: true},
		{name: "Redis killed, and empty at the same address", play: restartRedis, forgets: true, crashes: true},
		{name: "Redis 2 s slow", play: slowRedis, crashes: true},
	}
	for _, s := range []struct {
		length time.Duration
		long   bool
	}{{8 * time.Second, false}, {30 * time.Second, true}} {
		all = append(all, fault{crashes: true, name: fmt.Sprintf("Redis refuses connections for %s", s.length), long: s.long, play: func(t *testing.T, f *fleet) {
			cutRedis(t, f, s.length, (*line).cut, (*line).mend)
		}}, fault{crashes: true, name: fmt.Sprintf("Redis answers nothing for %s", s.length), long: s.long, play: func(t *testing.T, f *fleet) {
			cutRedis(t, f, s.length, (*line).swallow, (*line).spit)
		}})
	}
	return all
}

func isCreate(c call) bool { return c.op == "CreateFunction" }

// stopHolder stops (SIGSTOP) a builder that is about to create the function. By
// the time it continues, another builder has made it.
func stopHolder(t *testing.T, f *fleet) {
	t.Helper()
	f.dispatcher()
	holder := f.worker()
	h := holder.awsTap.add(t, newHold(before, isCreate))
	f.send(plan{runs: 24, scripts: 1})
	h.await(t)
	f.worker()
	stopped := time.Now()
	holder.Send(syscall.SIGSTOP)
	wait.Until(t, within, "nobody takes the build up", func() bool { f, _ := f.built(t); return f > 0 })
	if after := time.Since(stopped); after < leaseTTL/2 {
		t.Errorf("the build was taken up %s after its holder stopped, while the lease held", after)
	}
	f.await(1)
	h.release()
	holder.Send(syscall.SIGCONT)
}

func flushInBuild(t *testing.T, f *fleet) {
	t.Helper()
	f.dispatcher()
	builder := f.worker()
	h := builder.awsTap.add(t, newHold(before, isCreate))
	f.send(plan{runs: 24, scripts: 1})
	h.await(t)
	f.worker().ready()
	f.redis.FlushAll()
	wait.Until(t, within, "the lease is not put back", func() bool {
		return strings.Contains(strings.Join(f.leftInRedis(), " "), ":lease:{build/script")
	})
	h.release()
}

func flushInRuns(t *testing.T, f *fleet) {
	t.Helper()
	f.startAll(2)
	f.send(plan{runs: 40, scripts: 2, takes: 1})
	for n := 8; n <= 32; n += 8 { // while other runs execute
		f.await(n)
		f.redis.FlushAll()
	}
}

func restartRedis(t *testing.T, f *fleet) {
	t.Helper()
	f.startAll(2)
	f.send(plan{runs: 40, scripts: 2, takes: 1})
	f.await(10)
	f.redis.Restart()
}

func slowRedis(t *testing.T, f *fleet) {
	t.Helper()
	f.startAll(2)
	for _, p := range f.parts {
		p.ready().redis.slow(2000)
	}
	f.send(plan{runs: 20, scripts: 2})
	f.await(0)
	for _, p := range f.parts {
		p.redis.fast()
	}
}

// cutRedis cuts the Redis lines of all processes while runs execute, wait and
// arrive.
func cutRedis(t *testing.T, f *fleet, length time.Duration, cut, mend func(*line)) {
	t.Helper()
	f.startAll(2)
	p := plan{runs: 24, scripts: 2, takes: 1}
	f.send(p)
	f.await(6)
	for _, p := range f.parts {
		cut(p.redis)
	}
	f.send(p)
	last(t, length)
	for _, p := range f.parts {
		mend(p.redis)
	}
}
