package redisledger

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	//go:embed lua/prelude.lua
	prelude string
	//go:embed lua/accept.lua
	acceptLua string
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/invoking.lua
	invokingLua string
	//go:embed lua/wait.lua
	waitLua string
	//go:embed lua/release.lua
	releaseLua string
	//go:embed lua/finish.lua
	finishLua string
	//go:embed lua/published.lua
	publishedLua string
	//go:embed lua/cancel.lua
	cancelLua string
)

// scripts are called by their digest (EVALSHA). go-redis sends the text of a
// script that the server does not have yet, as after a restart.
var scripts = struct {
	accept, claim, renew, invoking, wait, release, finish, published, cancel *redis.Script
}{
	accept:    redis.NewScript(prelude + acceptLua),
	claim:     redis.NewScript(prelude + claimLua),
	renew:     redis.NewScript(prelude + renewLua),
	invoking:  redis.NewScript(prelude + invokingLua),
	wait:      redis.NewScript(prelude + waitLua),
	release:   redis.NewScript(prelude + releaseLua),
	finish:    redis.NewScript(prelude + finishLua),
	published: redis.NewScript(prelude + publishedLua),
	cancel:    redis.NewScript(prelude + cancelLua),
}

// call collects the KEYS and ARGV of a script, in the order that
// lua/prelude.lua describes.
type call struct {
	ledger *Ledger
	keys   []string
	args   []any
}

func (l *Ledger) call(records int, ttl time.Duration) *call {
	c := &call{ledger: l, keys: make([]string, 0, 2+records), args: make([]any, 0, 4+12*records)}
	c.keys = append(c.keys, l.open, l.finished)
	c.add(millis(l.cfg.Keep), millis(l.cfg.Remember), millis(l.cfg.PutBack), millis(ttl))
	return c
}

func (c *call) add(args ...any) { c.args = append(c.args, args...) }

func (c *call) record(k run.Key) { c.keys = append(c.keys, c.ledger.records+string(k)) }

func (c *call) entry(e ledger.Entry) {
	c.record(e.Key)
	c.add(string(e.Key), e.Tenant, e.Source, e.ID, e.Action, string(e.Script))
}

func (c *call) hold(h ledger.Hold) {
	c.entry(h.Entry)
	c.add(h.Owner, h.Fence, h.Attempts, flag(h.Invoking))
}

// one calls a script about one record.
func (l *Ledger) one(ctx context.Context, s *redis.Script, put func(*call)) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	c := l.call(1, 0)
	put(c)
	answer, err := s.Run(ctx, l.client, c.keys, c.args...).Result()
	return answer, reach(err)
}

// each calls a script about n records. put adds the keys and arguments of the
// i-th record, read takes its answer.
func (l *Ledger) each(ctx context.Context, s *redis.Script, n int, put func(c *call, i int), read func(i int, answer any) error) error {
	return l.eachFor(ctx, 0, s, n, put, read)
}

func (l *Ledger) eachFor(ctx context.Context, ttl time.Duration, s *redis.Script, n int, put func(c *call, i int), read func(i int, answer any) error) error {
	for from := 0; from < n; from += inOneCall {
		to := min(from+inOneCall, n)
		c := l.call(to-from, ttl)
		for i := from; i < to; i++ {
			put(c, i)
		}
		if err := l.turn(ctx, s, c, from, to, read); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) turn(ctx context.Context, s *redis.Script, c *call, from, to int, read func(i int, answer any) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	answer, err := s.Run(ctx, l.client, c.keys, c.args...).Result()
	if read == nil && errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return reach(err)
	}
	list, ok := answer.([]any)
	if !ok || len(list) != to-from {
		return fmt.Errorf("redis answers %T for %d records", answer, to-from)
	}
	for i, a := range list {
		if err := read(from+i, a); err != nil {
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
