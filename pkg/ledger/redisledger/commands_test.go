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
// counts. Of a run that shares its calls with 99 others, each of Accept, Claim,
// Finish and Published writes the record once; the rest is done once for a call or
// a tenant of it.
func TestAWholeLifeTakesFourCommandsAndASharedOne(t *testing.T) {
	client := redistest.Connect(t, redistest.Start(t).Addr)
	l := New(Config{}, client)
	const runs = 100
	es, cs := make([]ledger.Entry, runs), make([]ledger.Claim, runs)
	fs, keys := make([]ledger.Finish, runs), make([]run.Key, runs)
	for i := range es {
		es[i] = ledger.Entry{Key: run.Key(fmt.Sprint(i)), Tenant: fmt.Sprint("tenant-", i%10)}
		cs[i], keys[i] = ledger.Claim{Entry: es[i], Owner: "w", Begin: true}, es[i].Key
	}
	before := commands(t, client)
	_, err := l.Accept(t.Context(), es)
	must(t, err)
	answers, err := l.Claim(t.Context(), cs, 1<<40)
	must(t, err)
	for i, a := range answers {
		fs[i] = ledger.Finish{Hold: a.Hold, Status: run.Succeeded, Result: []byte("r"), Summary: summarized(a.Hold)}
		if !a.Hold.Invoking {
			t.Fatalf("a claim answers %+v", a)
		}
	}
	_, err = l.Finish(t.Context(), fs)
	must(t, err)
	must(t, l.Published(t.Context(), keys))
	if n := float64(commands(t, client)-before) / runs; n > 5 {
		t.Errorf("a run takes %.2f commands, want 5 at most", n)
	}
}

// Accept takes 6, Claim 4, Finish 11 and Published 4.
func TestAWholeLifeAloneTakesNoMoreThan25Commands(t *testing.T) {
	client := redistest.Connect(t, redistest.Start(t).Addr)
	l := New(Config{}, client)
	live(t, l, "warm", 1) // the server then has the script
	before := commands(t, client)
	live(t, l, "alone", 1)
	if n := commands(t, client) - before - 1; n > 25 { // INFO is one
		t.Errorf("a run takes %d commands", n)
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
