package worker

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// A delivery above its tenant's share is kept in hand, unread, until the tenant
// may have it: what ends makes the room, mostly within milliseconds, and putting
// it back would cost two calls and the delay. Kept deliveries take no room from
// others. They go in the order in which they came.
//
// What is kept is bounded as what is parked is: in all by keptFactor deliveries
// for each turn, and for a tenant by parkedFactor times what is free of these.
// What is above the bound, or has been kept for keptFor, goes back: this worker
// has enough of the tenant, and another may have less.
const (
	keptFactor = roomFactor
	keptFor    = 2 * time.Second
)

// mayKeep tells whether one more delivery of the tenant may be kept; mu is held.
func (in *inflight) mayKeep(tenant string) bool {
	return in.keptOf(tenant) < parkedFactor*(keptFactor*in.concurrency-len(in.kept))
}

// keptOf is how many of the tenant's deliveries are kept; mu is held.
func (in *inflight) keptOf(tenant string) int {
	if s := in.shares[tenant]; s != nil {
		return s.kept
	}
	return 0
}

// more is how many more of the tenant's deliveries may be received before one has
// to be kept; mu is held.
func (in *inflight) more(tenant string) int { return in.left(tenant) - in.keptOf(tenant) }

// keep keeps a delivery; mu is held.
func (in *inflight) keep(h *held) {
	h.shared = make(chan struct{})
	in.kept = append(in.kept, h)
	in.of(h.tenant()).kept++
}

// unkeep takes a delivery out of the kept; it is false for one that has got its
// share meanwhile. mu is held.
func (in *inflight) unkeep(h *held) bool {
	for i, k := range in.kept {
		if k == h {
			in.kept = append(in.kept[:i], in.kept[i+1:]...)
			in.of(h.tenant()).kept--
			return true
		}
	}
	return false
}

// share gives kept deliveries what their tenants may have by now; mu is held.
func (in *inflight) share() {
	left := in.kept[:0]
	for _, h := range in.kept {
		if in.left(h.tenant()) <= 0 {
			left = append(left, h)
			continue
		}
		in.of(h.tenant()).kept--
		in.activate(h)
		close(h.shared)
	}
	clear(in.kept[len(left):])
	in.kept = left
}

// awaitShare waits until a delivery that is kept gets its share. It is false
// where it is to go back: it has been kept long enough, or the worker stops.
func (in *inflight) awaitShare(h *held) bool {
	enough := time.NewTimer(keptFor)
	defer enough.Stop()
	select {
	case <-h.shared:
		return true
	case <-enough.C:
	case <-h.wait.Done():
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return !in.unkeep(h)
}

// putBackUnread puts a delivery back that is above its tenant's share: at once
// after the first two receives and when the worker stops, else with a growing
// delay, so that none reaches the number of receives at which its queue buries it.
func (w *Worker) putBackUnread(intake context.Context, s *source, d queue.Delivery) {
	w.metrics.crowded.Inc()
	delay := time.Duration(0)
	if d.ReceiveCount > 2 && intake.Err() == nil {
		delay = putBackDelay(time.Second << min(d.ReceiveCount-2, 6))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(intake), optionalTimeout)
	defer cancel()
	if err := s.extend.Extend(ctx, d, delay); err != nil && !errors.Is(err, queue.ErrGone) {
		w.faults.extends.Met(err, zap.String("queue", s.queue.Name()))
	}
}
