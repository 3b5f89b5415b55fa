package dispatcher

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scriptfleet/scriptfleet/pkg/toptenants"
)

// topBacklogs shows the open runs of the tenants that have most of them, and
// those of all others together: see [toptenants]. Every dispatcher shows the
// same runs, since they are the ledger's.
type topBacklogs struct {
	*backlogs
	top  *toptenants.Table
	desc *prometheus.Desc
}

func newTopBacklogs(b *backlogs) *topBacklogs {
	return &topBacklogs{
		backlogs: b, top: toptenants.New(func(string) {}),
		desc: prometheus.NewDesc("scriptfleet_dispatcher_tenant_backlog",
			"Open runs of each tenant: accepted and not yet ended. The tenants with most have a name, all others are _other.", []string{"tenant"}, nil),
	}
}

func (t *topBacklogs) Describe(to chan<- *prometheus.Desc) { to <- t.desc }

// Collect gives the tenants with most open runs their places, and counts.
func (t *topBacklogs) Collect(to chan<- prometheus.Metric) {
	open := t.estimates()
	var names []string
	for name := range open {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(open[b], open[a]), cmp.Compare(a, b)) })
	for _, name := range names[:min(len(names), toptenants.Size)] {
		if open[name] > 0 {
			t.top.Count(name, open[name], func(string) {})
		}
	}
	for label, n := range t.top.Sum(open) {
		to <- prometheus.MustNewConstMetric(t.desc, prometheus.GaugeValue, n, label)
	}
}

// estimates are the open runs of each tenant.
func (b *backlogs) estimates() map[string]float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	since := time.Since(b.looked).Seconds()
	all := make(map[string]float64, len(b.open))
	for name, t := range b.open {
		all[name] = left(float64(t.open+t.sent), t.ended, since)
	}
	return all
}
