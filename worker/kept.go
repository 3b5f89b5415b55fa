package worker

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// A delivery above its tenant's share is kept in hand, undecoded, until the
// share allows it. That is mostly within milliseconds, when a delivery of the
// tenant ends; putting it back would cost two calls and its delay. Kept
// deliveries take no room from others. They are served in the order in which
// they came.
//
// Kept deliveries are bounded like parked ones: to keptFactor per turn in all,
// and for a tenant to parkedFactor times what is free of that. A delivery above
// the bound, or kept for keptFor, is put back: another worker may have fewer of
// this tenant.
const (
	keptFactor = roomFactor
	keptFor    = 2 * time.Second
)

// mayKeep tells whether one more delivery of the tenant may be kept. The caller
// holds mu.
func (in *inflight) mayKeep(tenant string) bool {
	return in.keptOf(tenant) < parkedFactor*(keptFactor*in.concurrency-len(in.kept))
}

// keptOf is how many of the tenant's deliveries are kept. The caller holds mu.
func (in *inflight) keptOf(tenant string) int {
	if s := in.shares[tenant]; s != nil {
		return s.kept
	}
	return 0
}

// more is how many more of the tenant's deliveries may be received before one
// has to be kept. The caller holds mu.
func (in *inflight) more(tenant string) int { return in.left(tenant) - in.keptOf(tenant) }

// keep keeps a delivery. The caller holds mu.
func (in *inflight) keep(h *held) {
	h.shared = make(chan struct{})
	in.kept = append(in.kept, h)
	in.of(h.tenant()).kept++
}

// unkeep removes a delivery from the kept ones. It returns false if the
// delivery has got its share meanwhile. The caller holds mu.
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

// share activates kept deliveries as their tenants' shares allow. The caller
// holds mu.
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

// awaitShare waits until a kept delivery gets its share. It returns false if
// the delivery must be put back: after keptFor, or when the worker stops.
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

// putBackUnread puts a delivery above its tenant's share back: at once after
// the first two receives and when the worker stops, and otherwise with a
// growing delay, so that no delivery reaches its queue's maxReceiveCount.
func (w *Worker) putBackUnread(intake context.Context, s *source, d queue.Delivery) {
	w.metrics.crowded.Inc()
	delay := time.Duration(0)
	if d.ReceiveCount > 2 && intake.Err() == nil {
		longest := time.Second << min(d.ReceiveCount-2, 6)
		if w.deps.Tenants.Limits(d.Group).MaxRunning == 0 {
			longest = max(longest, stoppedDelay(time.Since(d.SentAt)))
		}
		delay = putBackDelay(longest)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(intake), optionalTimeout)
	defer cancel()
	if err := s.extend.Extend(ctx, d, delay); err != nil && !errors.Is(err, queue.ErrGone) {
		w.faults.extends.Met(err, zap.String("queue", s.queue.Name()))
	}
}
