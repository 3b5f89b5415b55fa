package localaws

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// connected is a client of a Redis that tries each command once.
func connected(t testing.TB, r *redis) *goredis.Client {
	return redistest.Connect(t, r.addr(), redistest.NoRetries, func(o *goredis.Options) { o.Password = testPassword })
}

func TestKeysRunOutAndScriptsRun(t *testing.T) {
	onBoth(t, func(t *testing.T, r *redis) {
		c := connected(t, r)
		if err := c.Set(t.Context(), "k", "v", 300*time.Millisecond).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := goredis.NewScript("return redis.call('GET', KEYS[1])").Run(t.Context(), c, []string{"k"}).Text(); got != "v" || err != nil {
			t.Errorf("the script returns %q, %v", got, err)
		}
		wait.Until(t, 10*time.Second, "the key stays", func() bool { return c.Exists(t.Context(), "k").Val() == 0 })
	})
}

func TestRedisServerThatIsKilledComesBackEmpty(t *testing.T) {
	r, err := startRedis("127.0.0.1:0", testPassword, redisProgram, t.TempDir(), panics.Guard{Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	c := connected(t, r)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(info, "process_id:")
	pid, _ := strconv.Atoi(strings.TrimSpace(strings.SplitN(after, "\n", 2)[0]))
	if pid < 2 {
		t.Fatalf("it has the pid %d", pid)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	wait.Until(t, 20*time.Second, "no server comes back", func() bool { n, err := c.DBSize(t.Context()).Result(); return err == nil && n == 0 })
}

func TestRedisServerThatWillNotDoIsNotUsed(t *testing.T) {
	for name, program := range map[string]string{
		"ends at once": "#!/bin/sh\nexit 1\n",
		"no program":   "nonsense",
	} {
		path := filepath.Join(t.TempDir(), "redis-server")
		if err := os.WriteFile(path, []byte(program), 0o755); err != nil {
			t.Fatal(err)
		}
		r, err := startRedis("127.0.0.1:0", testPassword, path, t.TempDir(), panics.Guard{Log: zap.NewNop()})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := r.server.name(); !strings.HasPrefix(got, "miniredis") {
			t.Errorf("%s: behind the door is %s", name, got)
		}
		r.close()
	}
	for version, want := range map[string]bool{"6.0.16": false, "6.2.0": true, "7.0.15": true, "10.0.1": true, "": false, "x": false} {
		if got := recentEnough(version); got != want {
			t.Errorf("version %q will do: %t", version, got)
		}
	}
}

func TestRedisServersPasswordIsOnNoCommandLine(t *testing.T) {
	r, err := startRedis("127.0.0.1:0", testPassword, redisProgram, t.TempDir(), panics.Guard{Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), testPassword) {
			t.Errorf("%s has it: %q", path, text)
		}
	}
}
