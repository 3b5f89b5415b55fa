package redisledger

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	//go:embed lua/record.lua
	recordLua string
	//go:embed lua/books.lua
	booksLua string
	//go:embed lua/recent.lua
	recentLua string
	//go:embed lua/calls.lua
	callsLua string

	// script is called by its digest (EVALSHA). go-redis sends its text to a
	// server that does not have it yet, as after a restart.
	script = redis.NewScript(recordLua + booksLua + recentLua + callsLua)
)

// inOneScript is the greatest number of calls in one script. Redis serves no
// other client while a script runs; 500 calls take about 5 ms.
const inOneScript = 500

// calls collects the KEYS and ARGV of one script, as lua/record.lua describes
// them.
type calls struct {
	ledger *Ledger
	keys   []string
	args   []any
	read   []func(answer any) error // the answer to each call
}

func (l *Ledger) calls(n int, ttl time.Duration) *calls {
	c := &calls{ledger: l, keys: make([]string, 0, 5+n), args: make([]any, 0, 7+11*n), read: make([]func(any) error, 0, n)}
	c.keys = append(c.keys, l.open, l.finished, l.backlogs, l.recent, l.latest)
	c.args = append(c.args, millis(l.cfg.Keep), millis(l.cfg.Remember), millis(l.cfg.PutBack), millis(ttl), l.cfg.Recent, millis(l.cfg.RecentFor), l.cfg.latest())
	return c
}

// call adds one call. read takes its answer.
func (c *calls) call(name string, k run.Key, read func(answer any) error) {
	c.keys = append(c.keys, c.ledger.records+string(k))
	c.args = append(c.args, name)
	c.read = append(c.read, read)
}

func (c *calls) add(args ...any) { c.args = append(c.args, args...) }

func (c *calls) entry(e ledger.Entry) {
	tenant := line(e.Tenant)
	c.add(string(e.Key), tenant, tenant+"\n"+line(e.Source)+"\n"+line(e.ID)+"\n"+line(e.Action)+"\n"+line(string(e.Script)))
}

func (c *calls) hold(h ledger.Hold) {
	c.entry(h.Entry)
	c.add(line(h.Owner), h.Fence, h.Attempts, flag(h.Invoking))
}

// run sends the calls in one script.
func (c *calls) run(ctx context.Context) error {
	if len(c.read) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.ledger.cfg.Timeout)
	defer cancel()
	answer, err := script.Run(ctx, c.ledger.client, c.keys, c.args...).Result()
	if err != nil {
		return reach(err)
	}
	list, ok := answer.([]any)
	if !ok || len(list) != len(c.read) {
		return fmt.Errorf("redis answers %T for %d calls", answer, len(c.read))
	}
	for i, a := range list {
		if err := c.read[i](a); err != nil {
			return err
		}
	}
	return nil
}

// each makes n calls, in scripts of inOneScript. put adds the i-th call.
func (l *Ledger) each(ctx context.Context, ttl time.Duration, n int, put func(c *calls, i int)) error {
	for from := 0; from < n; from += inOneScript {
		to := min(from+inOneScript, n)
		c := l.calls(to-from, ttl)
		for i := from; i < to; i++ {
			put(c, i)
		}
		if err := c.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// millis rounds up, so that a TTL is never shorter than asked for.
func millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// line escapes text so that it is one line of a record; text reads it again.
func line(text string) string { return toLine.Replace(text) }
func text(line string) string { return toText.Replace(line) }

var (
	toLine = strings.NewReplacer("%", "%25", "\n", "%0A")
	toText = strings.NewReplacer("%25", "%", "%0A", "\n")
)
