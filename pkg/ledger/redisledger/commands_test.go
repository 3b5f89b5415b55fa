package redisledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// The server is one core for the whole fleet, so what a script does for each run
// counts.
func TestAWholeLifeTakesNoMoreThan21Commands(t *testing.T) {
	client := redistest.Connect(t, redistest.Start(t).Addr)
	l := New(Config{}, client)
	const runs = 100
	es, cs := make([]ledger.Entry, runs), make([]ledger.Claim, runs)
	hs, fs, keys := make([]ledger.Hold, runs), make([]ledger.Finish, runs), make([]run.Key, runs)
	for i := range es {
		es[i] = ledger.Entry{Key: run.Key(fmt.Sprint(i)), Tenant: "acme"}
		cs[i], keys[i] = ledger.Claim{Entry: es[i], Owner: "w"}, es[i].Key
	}
	before := commands(t, client)
	_, err := l.Accept(t.Context(), es)
	must(t, err)
	answers, err := l.Claim(t.Context(), cs, 1<<40)
	must(t, err)
	for i, a := range answers {
		hs[i], fs[i] = a.Hold, ledger.Finish{Hold: a.Hold.Begun(), Status: run.Succeeded, Result: []byte("r")}
	}
	_, err = l.Invoking(t.Context(), hs)
	must(t, err)
	_, err = l.Finish(t.Context(), fs)
	must(t, err)
	must(t, l.Published(t.Context(), keys))
	if n := float64(commands(t, client)-before) / runs; n > 21.2 {
		t.Errorf("a run takes %.1f commands, want 21 at most", n)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// commands are those that the server has executed, within scripts too.
func commands(t *testing.T, c *redis.Client) (n int) {
	t.Helper()
	for line := range strings.Lines(c.Info(t.Context(), "commandstats").Val()) {
		if _, calls, ok := strings.Cut(line, ":calls="); ok {
			var k int
			_, err := fmt.Sscanf(calls, "%d", &k)
			must(t, err)
			n += k
		}
	}
	return n
}
