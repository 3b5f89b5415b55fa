package redisprobe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// all tells what each try says.
func all(t *testing.T, p *Probe) map[string]error {
	return map[string]error{"Try": p.Try(t.Context()), "Channels": p.Channels(t.Context()), "Keeps": keeps(t, p)}
}

func keeps(t *testing.T, p *Probe) error {
	_, err := p.Keeps(t.Context())
	return err
}

func nothing(t *testing.T, when string, p *Probe) {
	t.Helper()
	for name, err := range all(t, p) {
		if err != nil {
			t.Errorf("%s: %s: %v", when, name, err)
		}
	}
}

func says(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want: %s", err, words)
	}
}

func TestAGoodRedisIsLeftAsItWas(t *testing.T) {
	s := redistest.Start(t)
	c := redistest.Connect(t, s.Addr)
	nothing(t, "a new Redis", New(c, "test"))
	if keys := c.Keys(t.Context(), "*").Val(); len(keys) > 0 {
		t.Errorf("left: %v", keys)
	}
}

func TestTheEmbeddedRedisIsGood(t *testing.T) {
	nothing(t, "miniredis", New(redistest.Connect(t, miniredis.RunT(t).Addr()), "test"))
}

// The manual's permissions are enough, and of each one that is missing a try tells.
func TestEachPermissionThatIsMissingIsTold(t *testing.T) {
	s := redistest.Start(t)
	for _, p := range append(redistest.Permissions(t, "test"), "none") {
		var without string
		switch {
		case p == "none":
		case strings.HasPrefix(p, "+"):
			without = "-" + p[1:]
		case strings.HasPrefix(p, "~"):
			without = "resetkeys"
		case strings.HasPrefix(p, "&"):
			without = "resetchannels"
		default:
			continue // it takes away
		}
		t.Run(p, func(t *testing.T) {
			s.Do("SCRIPT", "FLUSH")
			more := strings.Fields(without)
			probe := New(redistest.Connect(t, s.Addr, redistest.AsFleet(t, s, "test", more...), func(o *redis.Options) { o.DB = 1 }), "test")
			if without == "" {
				nothing(t, "with all", probe)
				return
			}
			told := all(t, probe)
			if fmt.Sprint(told["Try"], told["Channels"], told["Keeps"]) == "<nil> <nil> <nil>" {
				t.Errorf("without %s nothing is told", p)
			}
			for name, err := range told {
				if err != nil && !strings.Contains(err.Error(), "the user of REDIS_URL may not") {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestAClusterIsRefused(t *testing.T) {
	s := redistest.Start(t, "--cluster-enabled", "yes")
	s.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	c := redistest.Connect(t, s.Addr)
	wait.Until(t, 10*time.Second, "the cluster does not serve", func() bool { return c.Set(t.Context(), "k", 1, 0).Err() == nil })
	says(t, New(c, "scriptfleet").Try(t.Context()), "cluster mode, which scriptfleet does not use")
}

func TestARedisThatTakesNoWritesIsTold(t *testing.T) {
	s := redistest.Start(t)
	p := New(redistest.Connect(t, s.Addr, redistest.NoRetries), "test")
	s.Do("CONFIG", "SET", "maxmemory", "1")
	says(t, p.Try(t.Context()), "Redis is out of memory: give it more")
	s.Do("CONFIG", "SET", "maxmemory", "0")
	s.Do("REPLICAOF", "127.0.0.1", "1")
	says(t, p.Try(t.Context()), "Redis answers as a replica")
	s.Stop()
	says(t, p.Try(t.Context()), "Redis does not answer")
	if err := keeps(t, p); err != nil {
		t.Errorf("an outage is told twice: %v", err)
	}
}

func TestEvictionIsTold(t *testing.T) {
	s := redistest.Start(t)
	c := redistest.Connect(t, s.Addr)
	p := New(c, "test")
	s.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	nothing(t, "without a limit", p)
	s.Do("CONFIG", "SET", "maxmemory", "3mb")
	says(t, keeps(t, p), "maxmemory-policy is allkeys-lru): set it to noeviction")
	wait.Until(t, 20*time.Second, "nothing is evicted", func() bool {
		c.Set(t.Context(), fmt.Sprint("k", time.Now().UnixNano()), make([]byte, 100_000), 0)
		n, err := p.Keeps(t.Context())
		return err != nil && n > 0
	})
	says(t, keeps(t, p), "keys since it started, so runs may be missing from the books")
	if err := p.Try(t.Context()); err != nil {
		t.Errorf("a Redis that evicts can be used: %v", err)
	}
	s.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	s.Do("CONFIG", "SET", "maxmemory", "0")
	s.Do("CONFIG", "RESETSTAT")
	nothing(t, "mended", p)
}
