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
	// the run was last accepted, claimed or finished. Default 14 days, the
	// longest that SQS keeps a message.
	Keep time.Duration
	// Remember is how long the record of a published run is kept, and the mark
	// of a cancellation whose run has no record. Default 4 days.
	Remember time.Duration
	// PutBack is the TTL of a claim that Invoking puts back into a lost record.
	// Default 10 s.
	PutBack time.Duration
	// Timeout bounds each call of Redis. Default 5 s.
	Timeout time.Duration
}

// Ledger implements ledger.Ledger.
type Ledger struct {
	cfg    Config
	client redis.UniversalClient

	open, finished string // keys of the sorted set and the hash
	records        string // the beginning of the keys of the records
}

var _ ledger.Ledger = (*Ledger)(nil)

// inOneCall is the greatest number of records in one script. Redis serves no
// other client while a script runs; 500 records take about 5 ms.
const inOneCall = 500

// New returns the ledger under cfg.Prefix.
func New(cfg Config, client redis.UniversalClient) *Ledger {
	if cfg.Prefix == "" {
		cfg.Prefix = "scriptfleet"
	}
	orDefault(&cfg.Keep, 14*24*time.Hour)
	orDefault(&cfg.Remember, 4*24*time.Hour)
	orDefault(&cfg.PutBack, 10*time.Second)
	orDefault(&cfg.Timeout, 5*time.Second)
	// The prefix has no colon of its own, so that keys of two prefixes never
	// collide.
	prefix := strings.NewReplacer("%", "%25", ":", "%3A").Replace(cfg.Prefix)
	return &Ledger{cfg: cfg, client: client,
		open: prefix + ":open", finished: prefix + ":finished", records: prefix + ":run:"}
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func (l *Ledger) Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error) {
	states := make([]ledger.State, len(es))
	err := l.each(ctx, scripts.accept, len(es), func(c *call, i int) {
		c.entry(es[i])
	}, func(i int, answer any) error {
		return into(&states[i], answer, stateOf)
	})
	if err != nil {
		return nil, fmt.Errorf("accept runs: %w", err)
	}
	return states, nil
}

func (l *Ledger) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error) {
	answers := make([]ledger.Answer, len(cs))
	err := l.eachFor(ctx, ttl, scripts.claim, len(cs), func(c *call, i int) {
		c.entry(cs[i].Entry)
		c.add(cs[i].Owner)
	}, func(i int, answer any) error {
		var err error
		answers[i], err = answerOf(cs[i], answer)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim runs: %w", err)
	}
	return answers, nil
}

func (l *Ledger) Renew(ctx context.Context, hs []ledger.Hold, ttl time.Duration) ([]error, error) {
	errs := make([]error, len(hs))
	err := l.eachFor(ctx, ttl, scripts.renew, len(hs), func(c *call, i int) {
		c.hold(hs[i])
	}, func(i int, answer any) error {
		return into(&errs[i], answer, lostOf)
	})
	if err != nil {
		return nil, fmt.Errorf("renew claims: %w", err)
	}
	return errs, nil
}

func (l *Ledger) Invoking(ctx context.Context, hs []ledger.Hold) ([]error, error) {
	errs := make([]error, len(hs))
	err := l.each(ctx, scripts.invoking, len(hs), func(c *call, i int) {
		c.hold(hs[i])
	}, func(i int, answer any) error {
		return into(&errs[i], answer, lostOf)
	})
	if err != nil {
		return nil, fmt.Errorf("note invocations: %w", err)
	}
	return errs, nil
}

func (l *Ledger) Wait(ctx context.Context, h ledger.Hold, reason string) error {
	_, err := l.one(ctx, scripts.wait, func(c *call) {
		c.hold(h)
		c.add(reason)
	})
	if err != nil {
		return fmt.Errorf("note what run %s waits for: %w", h.Entry.Key, err)
	}
	return nil
}

func (l *Ledger) Release(ctx context.Context, h ledger.Hold, executed bool) error {
	_, err := l.one(ctx, scripts.release, func(c *call) {
		c.hold(h)
		c.add(flag(executed))
	})
	if err != nil {
		return fmt.Errorf("release run %s: %w", h.Entry.Key, err)
	}
	return nil
}

func (l *Ledger) Finish(ctx context.Context, fs []ledger.Finish) ([]error, error) {
	errs := make([]error, len(fs))
	err := l.each(ctx, scripts.finish, len(fs), func(c *call, i int) {
		c.hold(fs[i].Hold)
		c.add(string(fs[i].Status), fs[i].Result)
	}, func(i int, answer any) error {
		return into(&errs[i], answer, lostOf)
	})
	if err != nil {
		return nil, fmt.Errorf("finish runs: %w", err)
	}
	return errs, nil
}

func (l *Ledger) Published(ctx context.Context, keys []run.Key) error {
	err := l.each(ctx, scripts.published, len(keys), func(c *call, i int) {
		c.record(keys[i])
		c.add(string(keys[i]))
	}, nil)
	if err != nil {
		return fmt.Errorf("note published results: %w", err)
	}
	return nil
}

func (l *Ledger) Cancel(ctx context.Context, e ledger.Entry) (ledger.State, error) {
	letter, err := l.one(ctx, scripts.cancel, func(c *call) { c.entry(e) })
	if err != nil {
		return ledger.Unknown, fmt.Errorf("cancel run %s: %w", e.Key, err)
	}
	return stateOf(letter)
}

// reach wraps ErrUnavailable around an error of a Redis that is out of reach.
func reach(err error) error {
	if redisfault.Unavailable(err) {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, err)
	}
	return err
}
