package memledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
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
	r.summaries = prepend(r.summaries, *s, l.cfg.Recent)
	r.expires = now.Add(l.cfg.RecentFor)
	l.latest[false] = prepend(l.latest[false], *s, l.cfg.latest())
	if s.Status != run.Succeeded {
		l.latest[true] = prepend(l.latest[true], *s, l.cfg.latest())
	}
}

// prepend puts s first, and drops what is then over max.
func prepend(all []ledger.Summary, s ledger.Summary, max int) []ledger.Summary {
	all = slices.Insert(all, 0, s)
	return all[:min(len(all), max)]
}

func (l *Ledger) Latest(ctx context.Context, unsuccessful bool, limit int) ([]ledger.Summary, error) {
	_, unlock, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	all := l.latest[unsuccessful]
	return slices.Clone(all[:max(0, min(len(all), limit))]), nil
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
