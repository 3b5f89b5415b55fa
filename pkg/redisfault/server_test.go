package redisfault

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

var write = redis.NewScript(`return redis.call('SET', KEYS[1], 1)`)

// failing checks that a write, as a command and in a script, fails with an
// answer of class want that contains says.
func failing(t *testing.T, c *redis.Client, want class, says string) {
	t.Helper()
	for name, err := range map[string]error{
		"SET":    c.Set(t.Context(), "k", 1, 0).Err(),
		"script": write.Eval(t.Context(), c, []string{"k"}).Err(),
	} {
		text, ok := replyOf(err)
		if !ok || !strings.Contains(text, says) || kindOf(text).class != want || !Unavailable(err) {
			t.Errorf("%s: %s: class %d of %v", says, name, kindOf(text).class, err)
		}
	}
}

func TestAnswersOfARealServerAreToldApart(t *testing.T) {
	s := redistest.Start(t)
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	s.Do("HSET", "k", "f", "1")
	if err := c.Get(t.Context(), "k").Err(); Unavailable(err) || err == nil {
		t.Errorf("a key of the wrong type: %v", err)
	}
	s.FlushAll()

	s.Do("CONFIG", "SET", "maxmemory", "1")
	failing(t, c, operator, "OOM")
	s.Do("CONFIG", "SET", "maxmemory", "0")

	s.Do("CONFIG", "SET", "min-replicas-to-write", "1")
	failing(t, c, operator, "NOREPLICAS")
	s.Do("CONFIG", "SET", "min-replicas-to-write", "0")

	s.Do("REPLICAOF", "127.0.0.1", "1")
	failing(t, c, elsewhere, "READONLY")
	s.Do("CONFIG", "SET", "replica-serve-stale-data", "no")
	if err := c.Get(t.Context(), "k").Err(); !moved(err) || !strings.Contains(err.Error(), "MASTERDOWN") {
		t.Errorf("a replica without its primary: %v", err)
	}
	s.Do("REPLICAOF", "NO", "ONE")

	s.Do("ACL", "SETUSER", "default", "-set")
	failing(t, c, operator, "")
	s.Do("ACL", "SETUSER", "default", "+@all")

	s.Do("CONFIG", "SET", "requirepass", "secret")
	failing(t, redistest.Connect(t, s.Addr, redistest.NoRetries), operator, "NOAUTH")
	wrong := func(o *redis.Options) { o.Password = "guess" }
	failing(t, redistest.Connect(t, s.Addr, redistest.NoRetries, wrong), operator, "WRONGPASS")
}

func TestAServerThatDoesNotAnswerIsUnavailable(t *testing.T) {
	s := redistest.Start(t)
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Get(ctx, "k").Err(); !Unavailable(err) {
		t.Errorf("paused: %v", err)
	}
	s.Stop()
	if err := c.Get(t.Context(), "k").Err(); !Unavailable(err) {
		t.Errorf("stopped: %v", err)
	}
}

func TestAServerThatCannotSaveIsTheOperators(t *testing.T) {
	dir := t.TempDir()
	s := redistest.Start(t, "--dir", dir, "--save", "3600 1")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	wait.Until(t, 10*time.Second, "it saves", func() bool {
		s.Do("BGSAVE")
		return c.Set(t.Context(), "k", 1, 0).Err() != nil
	})
	failing(t, c, operator, "MISCONF")
}

func TestServersThatTakeNoOneMoreAreWaitedFor(t *testing.T) {
	s := redistest.Start(t, "--maxclients", "1")
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	wait.Until(t, 10*time.Second, "it does not answer", func() bool { return c.Ping(t.Context()).Err() == nil })
	// The server closes the connection, so the client may not get its answer.
	if err := redistest.Connect(t, s.Addr, redistest.NoRetries).Ping(t.Context()).Err(); !Unavailable(err) {
		t.Errorf("one client too many: %v", err)
	}
}

func TestAServerHeldUpByAScriptIsWaitedFor(t *testing.T) {
	s := redistest.Start(t, "--lua-time-limit", "10")
	ended := make(chan struct{})
	holder := redistest.Connect(t, s.Addr, redistest.NoRetries, func(o *redis.Options) { o.ReadTimeout = time.Minute })
	go func() {
		defer close(ended)
		_ = holder.Eval(context.WithoutCancel(t.Context()), `while true do end`, nil).Err()
	}()
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	wait.Until(t, 10*time.Second, "it is not held up", func() bool { return c.Get(t.Context(), "k").Err() != redis.Nil })
	failing(t, c, passing, "BUSY")
	s.Do("SCRIPT", "KILL")
	<-ended
}

func TestAClusterIsTheOperators(t *testing.T) {
	s := redistest.Start(t, "--cluster-enabled", "yes")
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	failing(t, c, passing, "CLUSTERDOWN")
	s.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	wait.Until(t, 10*time.Second, "the cluster does not serve", func() bool { return c.Set(t.Context(), "k", 1, 0).Err() == nil })
	err := redis.NewScript(`return 1`).Eval(t.Context(), c, []string{"a", "b"}).Err()
	if text, _ := replyOf(err); kindOf(text).class != operator || kindOf(text).means != asCluster {
		t.Errorf("two slots: %v", err)
	}
	err = redistest.Connect(t, s.Addr, redistest.NoRetries, func(o *redis.Options) { o.DB = 1 }).Ping(t.Context()).Err()
	if text, _ := replyOf(err); kindOf(text).means != asCluster {
		t.Errorf("another database: %v", err)
	}
}

func TestWhatAServerDoesNotHaveIsTheOperators(t *testing.T) {
	s := redistest.Start(t, "--rename-command", "EVALSHA", "", "--databases", "2")
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	for says, err := range map[string]error{
		"unknown command": write.EvalSha(t.Context(), c, []string{"k"}).Err(),
		"DB index":        redistest.Connect(t, s.Addr, redistest.NoRetries, func(o *redis.Options) { o.DB = 2 }).Ping(t.Context()).Err(),
	} {
		if text, _ := replyOf(err); kindOf(text).class != operator || !strings.Contains(text, says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func TestScriptsThatAServerForgotAreSentAgain(t *testing.T) {
	s := redistest.Start(t)
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	for _, forget := range []func(){func() { s.Do("SCRIPT", "FLUSH") }, s.Restart} {
		if err := write.Run(t.Context(), c, []string{"k"}).Err(); err != nil {
			t.Fatal(err)
		}
		forget()
		wait.Until(t, 10*time.Second, "the script does not run", func() bool {
			return write.Run(t.Context(), c, []string{"k"}).Err() == nil
		})
	}
}
