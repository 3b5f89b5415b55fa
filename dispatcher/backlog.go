package dispatcher

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/lasting"
)

// backlogs estimates how many runs of each tenant are open: the ledger's last
// count, plus what this dispatcher has sent since. Each look asks the ledger in
// one call for the tenants that have sent since the last one; so it costs no
// call per run, and none for an idle tenant. A tenant can exceed its budget by
// what all dispatchers send between two looks.
type backlogs struct {
	ledger Ledger
	away   *lasting.Fault

	mu   sync.Mutex
	open map[string]*backlog
}

type backlog struct {
	open int // the ledger's count
	sent int // since then
}

// look is the interval between two looks.
const look = time.Second

func newBacklogs(l Ledger, log *zap.Logger) *backlogs {
	return &backlogs{ledger: l, away: lasting.New(log, "cannot read the tenants' backlogs; going by the old ones", "the tenants' backlogs can be read again"), open: map[string]*backlog{}}
}

// over counts one more run of the tenant, and tells whether the tenant is now
// over its budget.
func (b *backlogs) over(tenant string, budget int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.open[tenant]
	if t == nil {
		t = &backlog{}
		b.open[tenant] = t
	}
	t.sent++
	return t.open+t.sent > budget
}

// run looks until ctx ends.
func (b *backlogs) run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.look(ctx)
		}
	}
}

// look asks the ledger, and drops the tenants that have neither sent nor open
// runs. While the ledger is out of reach the old counts stay.
func (b *backlogs) look(ctx context.Context) {
	b.mu.Lock()
	tenants := make([]string, 0, len(b.open))
	before := make([]int, 0, len(b.open))
	for name, t := range b.open {
		tenants, before = append(tenants, name), append(before, t.sent)
	}
	b.mu.Unlock()
	if len(tenants) == 0 {
		return
	}
	open, err := b.ledger.Backlogs(ctx, tenants)
	if err != nil {
		if ctx.Err() == nil {
			b.away.Met(err)
		}
		return
	}
	b.away.Over()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, name := range tenants {
		t := b.open[name]
		t.open, t.sent = open[i], t.sent-before[i]
		if t.open == 0 && t.sent == 0 {
			delete(b.open, name)
		}
	}
}
