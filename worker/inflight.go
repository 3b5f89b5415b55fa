package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// The causes with which the contexts of a delivery in hand end.
var (
	errStopping  = errors.New("worker: it is stopping")
	errLost      = errors.New("worker: the claim on the run is lost")
	errLapsed    = errors.New("worker: the claim on the run was not renewed in time")
	errCancelled = errors.New("worker: the run was cancelled")
	errExpired   = errors.New("worker: the run has expired")
)

// held is a delivery in hand. Its own goroutine owns it; mu guards what the
// heartbeat renews.
type held struct {
	source   *source
	delivery queue.Delivery
	run      run.Run
	refused  *run.Error // the request is refused here, though the dispatcher admitted it
	timeline *run.Timeline
	place    trace.Place // of the run in its trace
	trace    *trace.Run  // nil: it is not sampled
	spans    spans
	attempts int // invocations begun, those of this worker included
	built    builds.Built
	bridge   *builds.Built // what Bridge has found; see find
	asked    bool          // Bridge was asked
	own      bool          // the run waits for its script's own function, whatever there is
	began    time.Time     // start of the run's turn; zero without one
	payload  []byte        // of the invocation, once it is made; with the credentials in it
	begins   bool          // its claim begins it too

	credentials *function.Credentials // nil if the request names none
	returned    bool                  // its function has answered

	// work ends when the claim is lost, or when the worker's own work ends. wait
	// is for everything before the invocation: it also ends when the worker
	// stops, and when the run expires or is cancelled.
	work, wait context.Context
	endWork    context.CancelCauseFunc
	endWait    context.CancelCauseFunc
	release    []func() bool  // stop the timers and watches of the two contexts
	giving     sync.WaitGroup // of the goroutine that gives the slots back

	mu        sync.Mutex
	hold      ledger.Hold
	claimed   bool
	renewed   time.Time // when the last call was sent that granted or renewed the claim
	invoking  bool
	gone      bool // the delivery is lost
	slots     []slot.Ask
	visibleTo time.Time

	shared chan struct{} // if it is kept: closed when it gets its share

	active, running, leaving bool // how the tenant's share counts it; guarded by inflight.mu
}

// tenant is the delivery's tenant by its queue's group: it is known before the
// request is decoded.
func (h *held) tenant() string { return h.delivery.Group }

// load is the load of the tenant when a dispatcher sent the run.
func (h *held) load() run.Load { return run.LoadOf(h.delivery.Attributes) }

// expireAt ends wait when the run expires.
func (h *held) expireAt(t time.Time) {
	timer := time.AfterFunc(time.Until(t), func() { h.endWait(errExpired) })
	h.release = append(h.release, timer.Stop)
}

// owner is the claim's owner, unique for each delivery in each worker.
func (h *held) owner(worker string) string { return worker + "/" + h.delivery.Handle }

func (h *held) hasTurn() bool { return !h.began.IsZero() }

// granted records a claim that a call sent at the given time was granted. The
// heartbeat renews it from now on.
func (h *held) granted(hold ledger.Hold, sent time.Time) {
	h.mu.Lock()
	h.hold, h.claimed, h.renewed = hold, true, sent
	h.mu.Unlock()
}

// begun records that the ledger has counted the invocation.
func (h *held) begun(hold ledger.Hold) {
	h.mu.Lock()
	h.hold, h.invoking = hold, true
	h.mu.Unlock()
}

// unbegun records that the ledger has taken the invocation back.
func (h *held) unbegun() {
	h.mu.Lock()
	h.invoking = false
	h.mu.Unlock()
	h.attempts--
}

// currentHold returns the hold, if there is one.
func (h *held) currentHold() (ledger.Hold, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hold, h.claimed
}

// invoked tells whether this worker has begun an invocation of the run.
func (h *held) invoked() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.invoking
}

// mayHaveExecuted tells whether the script may have run. A run that the ledger
// had forgotten counts as tried once.
func (h *held) mayHaveExecuted() bool { return h.attempts > 0 && h.run.Type != run.TypeSaved }

// renew records a call that renewed the claim.
func (h *held) renew(sent time.Time) {
	h.mu.Lock()
	h.renewed = sent
	h.mu.Unlock()
}

// lapsed tells whether the claim has expired by this worker's clock. Another
// worker may then have claimed the run. The ledger would tell, unless it has
// forgotten both claims: then it would accept ours. So no invocation begins
// under a lapsed claim.
func (h *held) lapsed(ttl time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.invoking && time.Since(h.renewed) >= ttl
}

// dropHold stops renewing the claim.
func (h *held) dropHold() {
	h.mu.Lock()
	h.claimed = false
	h.mu.Unlock()
}

// inflight holds the deliveries in hand, and bounds how many more may be taken.
type inflight struct {
	concurrency    int
	maxParked      int
	maxParkedBytes int

	mu          sync.Mutex
	all         map[*held]struct{}
	active      int // neither parked nor kept nor leaving
	leaving     int // past their execution
	reserved    int // for polls under way
	kept        []*held
	parked      int
	parkedBytes int
	shares      map[string]*share // of tenants that have something in hand, or are capped
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

// takeOrKeep takes a delivery into hand if its tenant's share allows it. If
// not, it keeps the delivery, or returns nil if that is not possible either.
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

// activate counts a delivery as active. The caller holds mu.
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
	in.answered(h)
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.all, h)
	in.forget(h.tenant())
}

// answered returns the room of a delivery whose result is published. Its note
// and its delete wait to be batched with others, and delay no run.
func (in *inflight) answered(h *held) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if h.active {
		h.active = false
		s := in.of(h.tenant())
		in.active, s.active = in.active-1, s.active-1
	}
	if h.leaving {
		h.leaving = false
		in.leaving--
	}
	in.tell()
}

// wait returns once nothing is in hand.
func (in *inflight) wait() { in.wg.Wait() }

// park counts a delivery as parked. It refuses above the limits, and above the
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

// roomFactor is how many deliveries may be in hand for each turn: one that
// executes, and two that wait. From the side partition only sideFactor are
// taken: the rest of the room is for the partitions.
const (
	roomFactor = 3
	sideFactor = 2
)

// room waits until the worker may take at least that many more deliveries in
// hand, of factor for each turn, and returns how many. It returns 0 once ctx has
// ended.
func (in *inflight) room(ctx context.Context, factor, least int) int {
	for ctx.Err() == nil {
		in.mu.Lock()
		n, changed := in.free(factor), in.changed
		in.mu.Unlock()
		if n >= least {
			return n
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return 0
}

// some is as many deliveries as are worth a poll where nobody quiet waits: a
// call costs the same for one as for ten.
func (in *inflight) some() int { return max(1, min(queue.MaxBatch, in.concurrency/4)) }

// free is how many more deliveries may be in hand. The caller holds mu.
func (in *inflight) free(factor int) int { return factor*in.concurrency - in.active - in.reserved }

// reserve reserves room for a full poll, if there is.
func (in *inflight) reserve(factor int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.free(factor) < queue.MaxBatch {
		return false
	}
	in.reserved += queue.MaxBatch
	return true
}

func (in *inflight) unreserve() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.reserved -= queue.MaxBatch
	in.tell()
}

// each calls f with a snapshot of the deliveries in hand.
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

// tell gives kept deliveries their share, and wakes those that wait for room.
// The caller holds mu.
func (in *inflight) tell() {
	in.share()
	close(in.changed)
	in.changed = make(chan struct{})
}

// fields are log fields that identify a delivery in hand, as far as it is
// decoded.
func (h *held) fields() []zap.Field {
	return []zap.Field{
		zap.String("tenant", h.run.Tenant), zap.String("run", string(h.run.Key)), zap.String("trace_id", h.place.ID()), zap.String("message", h.delivery.MessageID),
	}
}
