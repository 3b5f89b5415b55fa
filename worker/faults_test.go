package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// faults are a queue's, which a test changes while the queue is in use.
type faults struct {
	mu sync.Mutex
	f  memqueue.Faults
}

func (f *faults) now() memqueue.Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f
}

func (f *faults) change(c func(*memqueue.Faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c(&f.f)
}

func (f *faults) onCall(do func(memqueue.Op, int) error) {
	f.change(func(q *memqueue.Faults) { q.Call = do })
}

func (f *faults) onDuplicate(do func(string) bool) {
	f.change(func(q *memqueue.Faults) { q.Duplicate = do })
}

func (f *faults) onDelete(lose func(queue.Delivery) bool) {
	f.change(func(q *memqueue.Faults) { q.LoseDelete = lose })
}

func (f *faults) options() memqueue.Options {
	return memqueue.Options{Faults: memqueue.Faults{
		Call: func(op memqueue.Op, n int) error {
			if call := f.now().Call; call != nil {
				return call(op, n)
			}
			return nil
		},
		Duplicate: func(id string) bool {
			twice := f.now().Duplicate
			return twice != nil && twice(id)
		},
		LoseDelete: func(d queue.Delivery) bool {
			lose := f.now().LoseDelete
			return lose != nil && lose(d)
		},
	}}
}

// faultyLedger is out of reach while a test says so.
type faultyLedger struct {
	*memledger.Ledger
	mu   sync.Mutex
	away bool
	hook func(op string) // before each call
}

func (l *faultyLedger) goAway(away bool) {
	l.mu.Lock()
	l.away = away
	l.mu.Unlock()
}

func (l *faultyLedger) before(op string) error {
	l.mu.Lock()
	away, hook := l.away, l.hook
	l.mu.Unlock()
	if hook != nil {
		hook(op)
	}
	if away {
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, errors.New("a test says so"))
	}
	return nil
}

func (l *faultyLedger) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error) {
	if err := l.before("claim"); err != nil {
		return nil, err
	}
	return l.Ledger.Claim(ctx, cs, ttl)
}

func (l *faultyLedger) Renew(ctx context.Context, hs []ledger.Hold, ttl time.Duration) ([]error, error) {
	if err := l.before("renew"); err != nil {
		return nil, err
	}
	return l.Ledger.Renew(ctx, hs, ttl)
}

func (l *faultyLedger) Invoking(ctx context.Context, h ledger.Hold) (ledger.Hold, error) {
	if err := l.before("invoking"); err != nil {
		return h, err
	}
	return l.Ledger.Invoking(ctx, h)
}

func (l *faultyLedger) Release(ctx context.Context, h ledger.Hold, executed bool) error {
	if err := l.before("release"); err != nil {
		return err
	}
	return l.Ledger.Release(ctx, h, executed)
}

func (l *faultyLedger) Finish(ctx context.Context, fs []ledger.Finish) ([]error, error) {
	if err := l.before("finish"); err != nil {
		return nil, err
	}
	return l.Ledger.Finish(ctx, fs)
}

func (l *faultyLedger) Published(ctx context.Context, keys []run.Key) error {
	if err := l.before("published"); err != nil {
		return err
	}
	return l.Ledger.Published(ctx, keys)
}
