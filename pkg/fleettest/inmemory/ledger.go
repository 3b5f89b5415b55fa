package inmemory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Ledger is a ledger in memory that fails the calls that a test names. The
// test's own calls can use the embedded Ledger, which never fails.
type Ledger struct {
	*memledger.Ledger

	mu      sync.Mutex
	failing string
	hook    func(op string)
}

// NewLedger returns a ledger without failures.
func NewLedger() *Ledger { return &Ledger{Ledger: memledger.New(memledger.Config{})} }

// Fail makes calls fail with ledger.ErrUnavailable from now on: "accept",
// "claim", "renew", "invoking", "release", "finish", "published" or "backlogs";
// "all" means all of them, "" none.
func (l *Ledger) Fail(op string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = op
}

// Hook calls before in front of each call.
func (l *Ledger) Hook(before func(op string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hook = before
}

func (l *Ledger) before(op string) error {
	l.mu.Lock()
	failing, hook := l.failing, l.hook
	l.mu.Unlock()
	if hook != nil {
		hook(op)
	}
	if failing == op || failing == "all" {
		return fmt.Errorf("%w: a test says so", ledger.ErrUnavailable)
	}
	return nil
}

// Accept, as ledger.Ledger has it.
func (l *Ledger) Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error) {
	if err := l.before("accept"); err != nil {
		return nil, err
	}
	return l.Ledger.Accept(ctx, es)
}

// Claim, as ledger.Ledger has it.
func (l *Ledger) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error) {
	if err := l.before("claim"); err != nil {
		return nil, err
	}
	return l.Ledger.Claim(ctx, cs, ttl)
}

// Renew, as ledger.Ledger has it.
func (l *Ledger) Renew(ctx context.Context, hs []ledger.Hold, ttl time.Duration) ([]error, error) {
	if err := l.before("renew"); err != nil {
		return nil, err
	}
	return l.Ledger.Renew(ctx, hs, ttl)
}

// Invoking, as ledger.Ledger has it.
func (l *Ledger) Invoking(ctx context.Context, hs []ledger.Hold) ([]error, error) {
	if err := l.before("invoking"); err != nil {
		return nil, err
	}
	return l.Ledger.Invoking(ctx, hs)
}

// Together, as ledger.Ledger has it; each call can fail by itself.
func (l *Ledger) Together(ctx context.Context, cs ledger.Calls) ledger.Answers {
	return ledger.Apart(ctx, l, cs)
}

// Release, as ledger.Ledger has it.
func (l *Ledger) Release(ctx context.Context, h ledger.Hold, executed bool) error {
	if err := l.before("release"); err != nil {
		return err
	}
	return l.Ledger.Release(ctx, h, executed)
}

// Finish, as ledger.Ledger has it.
func (l *Ledger) Finish(ctx context.Context, fs []ledger.Finish) ([]error, error) {
	if err := l.before("finish"); err != nil {
		return nil, err
	}
	return l.Ledger.Finish(ctx, fs)
}

// Published, as ledger.Ledger has it.
func (l *Ledger) Published(ctx context.Context, keys []run.Key) error {
	if err := l.before("published"); err != nil {
		return err
	}
	return l.Ledger.Published(ctx, keys)
}

// Backlogs, as ledger.Ledger has it.
func (l *Ledger) Backlogs(ctx context.Context, tenants []string) ([]int, error) {
	if err := l.before("backlogs"); err != nil {
		return nil, err
	}
	return l.Ledger.Backlogs(ctx, tenants)
}
