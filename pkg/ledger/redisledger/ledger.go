package redisledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/redisfault"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Config says where and how long records are kept. A zero value stands for the
// default.
type Config struct {
	// Prefix begins every Redis key. Default scriptfleet.
	Prefix string
	// Keep is how long the record of a run that is not published is kept, after
	// its last change. Default 14 days, the longest that SQS keeps a message.
	Keep time.Duration
	// Remember is how long the record of a published run is kept, and the mark
	// of a cancellation whose run has no record. Default 4 days.
	Remember time.Duration
	// PutBack is the TTL of a claim that Invoking puts back into a lost record.
	// Default 10 s.
	PutBack time.Duration
	// Recent is how many summaries of finished runs are kept of each tenant, and
	// RecentFor is how long, after its last one. Up to a quarter more may be
	// kept for a while. Defaults 200 and 3 days.
	Recent    int
	RecentFor time.Duration
	// Timeout bounds each call of Redis. Default 5 s.
	Timeout time.Duration
}

// latest is how many summaries are kept of all tenants together, and as many of
// runs that did not succeed: up to a quarter more, for a while.
func (c Config) latest() int { return 5 * c.Recent }

// Ledger implements ledger.Ledger.
type Ledger struct {
	cfg    Config
	client redis.UniversalClient

	open, finished, backlogs, recent, latest string // see KEYS in lua/record.lua
	records                                  string // the beginning of the keys of the records
}

var _ ledger.Ledger = (*Ledger)(nil)

// New returns the ledger under cfg.Prefix.
func New(cfg Config, client redis.UniversalClient) *Ledger {
	if cfg.Prefix == "" {
		cfg.Prefix = "scriptfleet"
	}
	orDefault(&cfg.Keep, 14*24*time.Hour)
	orDefault(&cfg.Remember, 4*24*time.Hour)
	orDefault(&cfg.PutBack, 10*time.Second)
	orDefault(&cfg.RecentFor, 3*24*time.Hour)
	if cfg.Recent == 0 {
		cfg.Recent = 200
	}
	orDefault(&cfg.Timeout, 5*time.Second)
	// The prefix has no colon of its own, so that keys of two prefixes never
	// collide.
	prefix := strings.NewReplacer("%", "%25", ":", "%3A").Replace(cfg.Prefix)
	return &Ledger{cfg: cfg, client: client,
		open: prefix + ":open", finished: prefix + ":finished", backlogs: prefix + ":open:tenants", recent: prefix + ":recent", latest: prefix + ":latest",
		records: prefix + ":runs:"}
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func (l *Ledger) Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error) {
	states := make([]ledger.State, len(es))
	err := l.each(ctx, 0, len(es), func(c *calls, i int) {
		c.call("accept", es[i].Key, into(&states[i], stateOf))
		c.entry(es[i])
	})
	if err != nil {
		return nil, fmt.Errorf("accept runs: %w", err)
	}
	return states, nil
}

func (l *Ledger) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error) {
	answers := make([]ledger.Answer, len(cs))
	err := l.each(ctx, ttl, len(cs), func(c *calls, i int) { c.claim(cs[i], &answers[i]) })
	if err != nil {
		return nil, fmt.Errorf("claim runs: %w", err)
	}
	return answers, nil
}

func (l *Ledger) Renew(ctx context.Context, hs []ledger.Hold, ttl time.Duration) ([]error, error) {
	errs := make([]error, len(hs))
	err := l.each(ctx, ttl, len(hs), func(c *calls, i int) {
		c.call("renew", hs[i].Entry.Key, into(&errs[i], lostOf))
		c.hold(hs[i])
	})
	if err != nil {
		return nil, fmt.Errorf("renew claims: %w", err)
	}
	return errs, nil
}

func (l *Ledger) Invoking(ctx context.Context, hs []ledger.Hold) ([]error, error) {
	errs := make([]error, len(hs))
	err := l.each(ctx, 0, len(hs), func(c *calls, i int) { c.invoking(hs[i], &errs[i]) })
	if err != nil {
		return nil, fmt.Errorf("note invocations: %w", err)
	}
	return errs, nil
}

func (l *Ledger) Wait(ctx context.Context, h ledger.Hold, reason string) error {
	c := l.calls(1, 0)
	c.call("wait", h.Entry.Key, ignore)
	c.hold(h)
	c.add(line(reason))
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("note what run %s waits for: %w", h.Entry.Key, err)
	}
	return nil
}

func (l *Ledger) Release(ctx context.Context, h ledger.Hold, executed bool) error {
	c := l.calls(1, 0)
	c.call("release", h.Entry.Key, ignore)
	c.hold(h)
	c.add(flag(executed))
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("release run %s: %w", h.Entry.Key, err)
	}
	return nil
}

func (l *Ledger) Finish(ctx context.Context, fs []ledger.Finish) ([]error, error) {
	errs := make([]error, len(fs))
	err := l.each(ctx, 0, len(fs), func(c *calls, i int) { c.finish(fs[i], &errs[i]) })
	if err != nil {
		return nil, fmt.Errorf("finish runs: %w", err)
	}
	return errs, nil
}

func (l *Ledger) Published(ctx context.Context, keys []run.Key) error {
	err := l.each(ctx, 0, len(keys), func(c *calls, i int) { c.published(keys[i]) })
	if err != nil {
		return fmt.Errorf("note published results: %w", err)
	}
	return nil
}

func (l *Ledger) Cancel(ctx context.Context, e ledger.Entry) (ledger.State, error) {
	var before ledger.State
	c := l.calls(1, 0)
	c.call("cancel", e.Key, into(&before, stateOf))
	c.entry(e)
	if err := c.run(ctx); err != nil {
		return ledger.Unknown, fmt.Errorf("cancel run %s: %w", e.Key, err)
	}
	return before, nil
}

// reach wraps ErrUnavailable around an error of a Redis that is out of reach.
func reach(err error) error {
	if redisfault.Unavailable(err) {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, err)
	}
	return err
}
