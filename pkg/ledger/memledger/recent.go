package memledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// recent are the summaries of a tenant's finished runs, the newest last.
type recent struct {
	summaries []ledger.Summary
	expires   time.Time
}

// summarize keeps a summary; nil is none.
func (l *Ledger) summarize(s *ledger.Summary, now time.Time) {
	if s == nil {
		return
	}
	r := l.recent[s.Tenant]
	if r == nil || !r.expires.After(now) {
		r = &recent{}
		l.recent[s.Tenant] = r
	}
	r.summaries = keep(r.summaries, *s, l.cfg.Recent)
	r.expires = now.Add(l.cfg.RecentFor)
	l.latest[false] = keep(l.latest[false], *s, l.cfg.latest())
	if s.Status != run.Succeeded {
		l.latest[true] = keep(l.latest[true], *s, l.cfg.latest())
	}
}

// keep adds s as the last one. It keeps between max and twice as many, so that
// few calls copy.
func keep(all []ledger.Summary, s ledger.Summary, max int) []ledger.Summary {
	if len(all) >= 2*max {
		all = slices.Delete(all, 0, len(all)-max+1)
	}
	return append(all, s)
}

// newest returns up to limit summaries, the newest first.
func newest(all []ledger.Summary, limit int) []ledger.Summary {
	all = slices.Clone(all[len(all)-max(0, min(len(all), limit)):])
	slices.Reverse(all)
	return all
}

func (l *Ledger) Latest(ctx context.Context, unsuccessful bool, limit int) ([]ledger.Summary, error) {
	_, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return newest(l.latest[unsuccessful], min(limit, l.cfg.latest())), nil
}

func (l *Ledger) Recent(ctx context.Context, tenant string) ([]ledger.Summary, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if r := l.recent[tenant]; r != nil && r.expires.After(now) {
		return newest(r.summaries, l.cfg.Recent), nil
	}
	return nil, nil
}

func (l *Ledger) RecentTenants(ctx context.Context) ([]string, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	maps.DeleteFunc(l.recent, func(_ string, r *recent) bool { return !r.expires.After(now) })
	return slices.Sorted(maps.Keys(l.recent)), nil
}
