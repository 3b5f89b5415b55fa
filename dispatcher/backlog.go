package dispatcher

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/lasting"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// backlogs estimates how many runs of each tenant are open. By that it decides
// which runs go to a partition and which to the side partition, and which are
// those of a quiet tenant.
//
// To the side partition go the runs of a tenant over its budget. What stands on the partitions makes every tenant
// wait, so all budgets together are about what the workers can hold in hand.
// The tenant's own limit is the most, and cappedFactor times as many runs as it
// may execute at a time. Below that a run may go to a partition while
//
//	open runs of the tenant ≤ budgetFactor × (capacity - runs in front)
//
// where the runs in front are those of all tenants within their budgets. So a
// budget shrinks with the number of tenants that have a backlog. Example: of a
// capacity of 192, one tenant gets 128, two get 77 each, ten 18, fifty 4. A
// tenant with fewer than minBudget open runs is always within its budget.
//
// The capacity is roomPerTurn runs for each turn of the fleet's workers, and
// those that end within frontFor at the present rate: with short runs, more are
// on their way to the workers and back than execute.
//
// A tenant is quiet for a run while its open runs, that one included, are no more
// than its share of what the fleet executes at a time:
//
//	turns of the fleet × weight of the tenant ÷ weights of all tenants with open runs
//
// which is at least one run, and at most the tenant's cap. Such a run has a claim
// to start at once, whatever other tenants do: an objective bounds its delay. A
// run above the share may have to wait for its own tenant's.
//
// The counts are the ledger's last ones, plus what this dispatcher has sent
// since, minus what has probably ended since: at the rate that the last two
// counts tell. Each look asks the ledger in one call for the tenants that have
// sent since the last one, or have open runs; so it costs no call per run, and
// none for an idle tenant. A tenant can exceed its budget by what all
// dispatchers send between two looks.
type backlogs struct {
	ledger Ledger
	turns  func() int
	away   *lasting.Fault
	soon   chan struct{} // asks for the next look, of capacity one

	mu     sync.Mutex
	open   map[string]*backlog
	looked time.Time
	ended  float64 // runs of all tenants, per second
	front  float64 // estimate of the runs in front
	all    float64 // estimate of the open runs

	weights int // of all tenants in open
}

// backlog is the estimate for a tenant.
type backlog struct {
	open  int     // the ledger's count
	sent  int     // since then
	ended float64 // per second

	weight int
}

const (
	// look is the interval between two looks, lookSoon while budgets are short.
	look     = time.Second
	lookSoon = 50 * time.Millisecond

	budgetFactor = 2
	minBudget    = 3
	cappedFactor = 2
	// roomPerTurn is what a worker takes in hand for each of its turns.
	roomPerTurn = 3
	// someTurns stands for an unknown number of turns: those of one worker.
	someTurns = 32
	frontFor  = 100 * time.Millisecond
	// highFactor is how many times the capacity is open when backlogs are high.
	highFactor = 4
)

func newBacklogs(l Ledger, turns func() int, log *zap.Logger) *backlogs {
	return &backlogs{
		ledger: l, turns: turns, soon: make(chan struct{}, 1), open: map[string]*backlog{}, looked: time.Now(),
		away: lasting.New(log, "cannot read the tenants' backlogs; going by the old ones", "the tenants' backlogs can be read again"),
	}
}

// add counts one more run of the tenant. It tells whether the tenant is over its
// budget with it, and whether the tenant is quiet.
func (b *backlogs) add(name string, limits tenant.Limits) (over bool, load run.Load) {
	b.mu.Lock()
	defer b.mu.Unlock()
	since := time.Since(b.looked).Seconds()
	t := b.open[name]
	if t == nil {
		t = &backlog{}
		b.open[name] = t
	}
	b.weights += limits.Weight - t.weight
	t.weight = limits.Weight
	t.sent++
	b.all++
	free := b.capacity() - left(b.front, b.ended, since)
	atOnce := cappedFactor*float64(limits.MaxRunning) + t.ended*frontFor.Seconds()
	budget := min(float64(limits.MaxBacklog), max(minBudget, min(atOnce, budgetFactor*free)))
	if free < b.capacity()/2 {
		b.lookSoon()
	}
	open := left(float64(t.open+t.sent), t.ended, since)
	load = run.Busy
	if open <= b.share(limits) {
		load = run.Quiet
	}
	if open > budget {
		return true, load
	}
	b.front++
	return false, load
}

// share is how many runs of a tenant may be open while it is quiet. The caller
// holds mu.
func (b *backlogs) share(limits tenant.Limits) float64 {
	part := float64(b.fleetTurns()) * float64(limits.Weight) / float64(max(1, b.weights))
	return min(float64(limits.MaxRunning), max(1, part))
}

// left is what is left of n runs of which some end each second.
func left(n, ended, seconds float64) float64 { return max(0, n-ended*seconds) }

// capacity is how many runs may be in front. The caller holds mu.
func (b *backlogs) capacity() float64 {
	return float64(roomPerTurn*b.fleetTurns()) + b.ended*frontFor.Seconds()
}

func (b *backlogs) fleetTurns() int {
	if b.turns != nil {
		if n := b.turns(); n > 0 {
			return n
		}
	}
	return someTurns
}

// high tells whether so many runs are open, or so many are about to be, that the
// workers will not have taken all of them soon.
func (b *backlogs) high(soon int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	capacity := b.capacity()
	return float64(soon) > capacity || left(b.all, b.ended, time.Since(b.looked).Seconds()) > highFactor*capacity
}

// lookSoon makes the next look come soon. The caller holds mu.
func (b *backlogs) lookSoon() {
	select {
	case b.soon <- struct{}{}:
	default:
	}
}

// run looks until ctx ends.
func (b *backlogs) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookSoon):
		}
		select {
		case <-ctx.Done():
			return
		case <-b.soon:
		case <-time.After(look - lookSoon):
		}
		b.look(ctx)
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
	asked := time.Now()
	var open []int
	if len(tenants) > 0 {
		var err error
		if open, err = b.ledger.Backlogs(ctx, tenants); err != nil {
			if ctx.Err() == nil {
				b.away.Met(err)
			}
			return
		}
		b.away.Over()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saw(asked, tenants, before, open)
}

// saw takes over the ledger's counts of the tenants, of which before was sent
// when it was asked. The caller holds mu.
func (b *backlogs) saw(asked time.Time, tenants []string, before, open []int) {
	passed := max(asked.Sub(b.looked), time.Millisecond).Seconds()
	b.looked = asked
	ended, sent := 0, 0
	for i, name := range tenants {
		t := b.open[name]
		n := max(0, t.open+before[i]-open[i])
		ended += n
		t.ended = mean(t.ended, float64(n)/passed, passed)
		t.open, t.sent = open[i], t.sent-before[i]
		sent += t.sent
		if t.open == 0 && t.sent == 0 {
			b.weights -= t.weight
			delete(b.open, name)
		}
	}
	b.ended = mean(b.ended, float64(ended)/passed, passed)
	slices.Sort(open)
	b.front = inFront(open, b.capacity()) + float64(sent)
	b.all = float64(sent)
	for _, n := range open {
		b.all += float64(n)
	}
}

// mean moves the mean of a rate towards its latest value: with look, all the way.
func mean(before, latest, passed float64) float64 {
	return before + (latest-before)*min(1, max(0.1, passed/look.Seconds()))
}

// inFront is how many of the tenants' open runs, in ascending order, are within
// their budgets. Each tenant has as many in front as it has open, or as its
// budget allows; and the budgets follow from the sum: see backlogs.
func inFront(open []int, capacity float64) float64 {
	within := 0.0 // of the tenants below their budget
	for i, n := range open {
		above := float64(len(open) - i)
		budget := max(minBudget, budgetFactor*(capacity-within)/(1+budgetFactor*above))
		if budget <= float64(n) {
			return within + above*budget
		}
		within += float64(n)
	}
	return within
}
