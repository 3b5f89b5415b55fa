package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// Causes with which the contexts of a delivery in hand end.
var (
	errStopping  = errors.New("worker: it is stopping")
	errLost      = errors.New("worker: the claim on the run is lost")
	errLapsed    = errors.New("worker: the claim on the run was not renewed in time")
	errCancelled = errors.New("worker: the run was cancelled")
	errExpired   = errors.New("worker: the run has expired")
)

// held is a delivery in hand. Its own goroutine walks it; the heartbeat renews
// what mu guards.
type held struct {
	source   *source
	delivery queue.Delivery
	run      run.Run
	refused  *run.Error // the request does not pass, though the dispatcher let it
	timeline *run.Timeline
	attempts int // invocations begun, this worker's included
	built    builds.Built
	began    time.Time // of the run's turn; zero where it has none
	returned bool      // its function has answered

	// work ends when the claim is lost or the worker's own work ends. wait is for
	// everything before the invocation: it ends with work, and when the worker
	// stops or the run expires or is cancelled.
	work, wait context.Context
	endWork    context.CancelCauseFunc
	endWait    context.CancelCauseFunc
	release    []func() bool  // stops the timers and watches of the two contexts
	giving     sync.WaitGroup // the goroutine that gives the slots back

	mu        sync.Mutex
	hold      ledger.Hold
	claimed   bool
	renewed   time.Time // when the last call was sent that granted or renewed the claim
	invoking  bool
	gone      bool // the delivery is not ours any more
	slots     []slot.Ask
	visibleTo time.Time

	shared chan struct{} // of one that is kept: closed when it gets its share

	active, running, leaving bool // as the tenant's share counts it; guarded by inflight.mu
}

// tenant is the delivery's, as its queue names it: known before it is decoded.
func (h *held) tenant() string { return h.delivery.Group }

// expireAt ends the waiting when the run expires.
func (h *held) expireAt(t time.Time) {
	timer := time.AfterFunc(time.Until(t), func() { h.endWait(errExpired) })
	h.release = append(h.release, timer.Stop)
}

// owner names this delivery in this worker: no two claims share it.
func (h *held) owner(worker string) string { return worker + "/" + h.delivery.Handle }

// granted notes what the ledger has granted to a call that was sent then. The
// heartbeat renews it from now on.
func (h *held) granted(hold ledger.Hold, sent time.Time) {
	h.mu.Lock()
	h.hold, h.claimed, h.renewed = hold, true, sent
	h.mu.Unlock()
}

// begun notes that the ledger has counted the invocation.
func (h *held) begun(hold ledger.Hold) {
	h.mu.Lock()
	h.hold, h.invoking = hold, true
	h.mu.Unlock()
}

// currentHold returns the hold, if there is one.
func (h *held) currentHold() (ledger.Hold, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hold, h.claimed
}

// invoked tells whether this worker has begun to invoke the run.
func (h *held) invoked() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.invoking
}

// mayHaveExecuted tells whether the script has run, or may have: a run that the
// ledger forgot counts as tried once.
func (h *held) mayHaveExecuted() bool { return h.attempts > 0 && h.run.Type != run.TypeSaved }

// renew notes a call that renewed the claim.
func (h *held) renew(sent time.Time) {
	h.mu.Lock()
	h.renewed = sent
	h.mu.Unlock()
}

// lapsed tells whether the claim has run out by our own clock, so that another
// worker may have had the run since. The ledger would know, unless it has
// forgotten both claims: then it takes ours for the last. So no invocation is
// begun under a lapsed claim.
func (h *held) lapsed(ttl time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.invoking && time.Since(h.renewed) >= ttl
}

// dropHold ends the renewal of the claim.
func (h *held) dropHold() {
	h.mu.Lock()
	h.claimed = false
	h.mu.Unlock()
}

// inflight is what the worker has in hand, and how much more it may take.
type inflight struct {
	concurrency    int
	maxParked      int
	maxParkedBytes int

	mu          sync.Mutex
	all         map[*held]struct{}
	active      int // neither parked nor kept
	kept        []*held
	parked      int
	parkedBytes int
	shares      map[string]*share // of the tenants that have something in hand, or are capped
	changed     chan struct{}     // closed and replaced when there may be more room
	wg          sync.WaitGroup
	visibility  time.Duration
}

func newInflight(cfg Config) *inflight {
	return &inflight{
		concurrency: cfg.Concurrency, maxParked: cfg.MaxParked, maxParkedBytes: cfg.MaxParkedMB << 20,
		visibility: cfg.Visibility, all: map[*held]struct{}{}, shares: map[string]*share{}, changed: make(chan struct{}),
	}
}

func newHeld(intake, work context.Context, s *source, d queue.Delivery, visibility time.Duration) *held {
	h := &held{source: s, delivery: d, visibleTo: d.ReceivedAt.Add(visibility)}
	h.work, h.endWork = context.WithCancelCause(work)
	h.wait, h.endWait = context.WithCancelCause(h.work)
	h.release = append(h.release, context.AfterFunc(intake, func() { h.endWait(errStopping) }))
	return h
}

// take takes a delivery into hand.
func (in *inflight) take(intake, work context.Context, s *source, d queue.Delivery) *held {
	h := newHeld(intake, work, s, d, in.visibility)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.all[h] = struct{}{}
	in.activate(h)
	return h
}

// takeOrKeep takes a delivery into hand if its tenant's share allows it. One that
// is over is kept, or returned as nil where that is not possible either.
func (in *inflight) takeOrKeep(intake, work context.Context, s *source, d queue.Delivery) (h *held, over bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	over = in.more(d.Group) <= 0
	if over && !in.mayKeep(d.Group) {
		return nil, true
	}
	h = newHeld(intake, work, s, d, in.visibility)
	in.all[h] = struct{}{}
	if over {
		in.keep(h)
	} else {
		in.activate(h)
	}
	return h, over
}

// activate counts a delivery as active; mu is held.
func (in *inflight) activate(h *held) {
	h.active = true
	in.active++
	in.of(h.tenant()).active++
}

func (in *inflight) letGo(h *held) {
	h.giving.Wait()
	for _, release := range h.release {
		release()
	}
	h.endWait(nil)
	h.endWork(nil)
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.all, h)
	s := in.of(h.tenant())
	if h.active {
		in.active, s.active = in.active-1, s.active-1
	}
	if h.leaving {
		s.leaving--
	}
	in.forget(h.tenant())
	in.tell()
}

// wait returns once nothing is in hand.
func (in *inflight) wait() { in.wg.Wait() }

// park counts a delivery as parked. It refuses above the bounds, and above the
// tenant's share of them.
func (in *inflight) park(h *held) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	s, size := in.of(h.tenant()), len(h.delivery.Body)
	free, freeBytes := in.maxParked-in.parked, in.maxParkedBytes-in.parkedBytes
	if free <= 0 || freeBytes < size || s.parked >= parkedFactor*free || s.parkedBytes > parkedFactor*freeBytes {
		return false
	}
	in.active, in.parked = in.active-1, in.parked+1
	s.active, s.parked = s.active-1, s.parked+1
	in.parkedBytes, s.parkedBytes = in.parkedBytes+size, s.parkedBytes+size
	in.tell()
	return true
}

func (in *inflight) unpark(h *held) {
	in.mu.Lock()
	defer in.mu.Unlock()
	s, size := in.of(h.tenant()), len(h.delivery.Body)
	in.active, in.parked = in.active+1, in.parked-1
	s.active, s.parked = s.active+1, s.parked-1
	in.parkedBytes, s.parkedBytes = in.parkedBytes-size, s.parkedBytes-size
}

// room waits until the worker may take more deliveries in hand, and returns how
// many. It returns 0 once ctx has ended.
func (in *inflight) room(ctx context.Context) int {
	return in.until(ctx, func(active int) int { return roomFactor*in.concurrency - active })
}

// roomFactor is how many deliveries may be in hand for each turn: one executes,
// two wait.
const roomFactor = 3

// leftOver is the room for the side partition: turns that nothing in hand waits
// for.
func (in *inflight) leftOver(ctx context.Context) int {
	return in.until(ctx, func(active int) int { return in.concurrency - active })
}

func (in *inflight) until(ctx context.Context, room func(active int) int) int {
	for ctx.Err() == nil {
		in.mu.Lock()
		n, changed := room(in.active), in.changed
		in.mu.Unlock()
		if n > 0 {
			return n
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return 0
}

// each calls f for a snapshot of what is in hand.
func (in *inflight) each(f func(*held)) {
	in.mu.Lock()
	all := make([]*held, 0, len(in.all))
	for h := range in.all {
		all = append(all, h)
	}
	in.mu.Unlock()
	for _, h := range all {
		f(h)
	}
}

func (in *inflight) counts() (active, parked int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.all) - in.parked, in.parked
}

// tell gives what is kept its share, and wakes those that wait for room; mu is
// held.
func (in *inflight) tell() {
	in.share()
	close(in.changed)
	in.changed = make(chan struct{})
}

// fields name a delivery in hand to the log, as far as it has been read.
func (h *held) fields() []zap.Field {
	return []zap.Field{
		zap.String("tenant", h.run.Tenant), zap.String("run", string(h.run.Key)), zap.String("message", h.delivery.MessageID),
	}
}
