package redisfault

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// A proxy keeps open connections to the old primary, and opens new ones to the
// new primary.
func TestAfterAFailoverNoConnectionToTheOldPrimaryIsUsedAgain(t *testing.T) {
	for name, words := range map[string]string{
		"as Redis words it": "-READONLY ", "as a proxy does": "-ERR READONLY ", "in its own sentence": "-ERR node is READONLY now: ",
	} {
		t.Run(name, func(t *testing.T) {
			first, second := redistest.Start(t), redistest.Start(t)
			second.Follow(first)
			proxy := redistest.StartProxy(t, first)
			proxy.Reword("-READONLY ", words)
			c := redistest.Connect(t, proxy.Addr, redistest.NoRetries)
			c.AddHook(Redial())
			open := 5
			fill(t, c, open)

			second.Promote()
			first.Follow(second)
			if err := write.Run(t.Context(), c, []string{"k"}).Err(); !moved(err) {
				t.Fatalf("of the old primary: %v", err)
			}
			proxy.Lead(second)
			failed := 0
			for i := range 3 * open {
				if err := write.Run(t.Context(), c, []string{fmt.Sprint("k", i)}).Err(); err != nil {
					failed++
				}
			}
			// The first call after the answer opens a new connection. If the
			// proxy has not noticed the failover yet, that one leads to the old
			// primary too.
			if failed > 1 {
				t.Errorf("%d calls failed after the failover", failed)
			}
		})
	}
}

func TestAPipelineLeavesTheOldPrimaryToo(t *testing.T) {
	first, second := redistest.Start(t), redistest.Start(t)
	proxy := redistest.StartProxy(t, first)
	proxy.Reword("-READONLY ", "-ERR READONLY ")
	c := redistest.Connect(t, proxy.Addr, redistest.NoRetries)
	c.AddHook(Redial())
	give := func() error {
		_, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			p.Get(t.Context(), "k")
			p.ZRem(t.Context(), "k", "m")
			return nil
		})
		if err == redis.Nil {
			return nil
		}
		return err
	}
	if err := give(); err != nil {
		t.Fatal(err)
	}
	first.Follow(second)
	proxy.Lead(second)
	_ = give()
	if err := give(); err != nil {
		t.Errorf("after the failover: %v", err)
	}
}

// fill opens n connections.
func fill(t *testing.T, c *redis.Client, n int) {
	t.Helper()
	held := make([]*redis.Conn, n)
	for i := range held {
		held[i] = c.Conn()
		if err := held[i].Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range held {
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wait.Until(t, 10*time.Second, "the connections are not idle", func() bool { return int(c.PoolStats().IdleConns) >= n })
}
