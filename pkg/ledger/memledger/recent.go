package memledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
)

// recent are the summaries of a tenant's finished runs, the newest first.
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
	r.summaries = slices.Insert(r.summaries, 0, *s)
	r.summaries = r.summaries[:min(len(r.summaries), l.cfg.Recent)]
	r.expires = now.Add(l.cfg.RecentFor)
}

func (l *Ledger) Recent(ctx context.Context, tenant string) ([]ledger.Summary, error) {
	now, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if r := l.recent[tenant]; r != nil && r.expires.After(now) {
		return slices.Clone(r.summaries), nil
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
