package queue

import (
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// callWithin bounds one call of a batch, large bodies on their way to a store
// included. What waits for the next call waits no longer than that.
const callWithin = 30 * time.Second

// Sender puts on one queue what many goroutines send one message at a time:
// what comes while a call is under way goes together in the next, so that an
// idle sender adds no delay and a busy one makes full batches.
type Sender struct {
	batch *batch.Batcher[Message, struct{}]
}

// NewSender sends to q, with at most so many calls under way at once.
func NewSender(q Queue, concurrency int, guard panics.Guard) *Sender {
	return &Sender{batch.New(batch.Config[Message]{
		Max: MaxBatch, MaxWeight: min(MaxMessageBytes, q.MaxBytes()), Weight: Message.Size, Concurrency: concurrency, Guard: guard,
	}, func(ctx context.Context, ms []Message) ([]struct{}, []error) {
		ctx, cancel := context.WithTimeout(ctx, callWithin)
		defer cancel()
		return nil, q.Send(ctx, ms)
	})}
}

// Send returns once the message is on the queue, or could not be put there.
func (s *Sender) Send(ctx context.Context, m Message) error {
	_, err := s.batch.Do(ctx, m)
	return err
}

// Deleter deletes from one queue in the same way.
type Deleter struct {
	batch *batch.Batcher[Delivery, struct{}]
}

// NewDeleter deletes from q, with at most so many calls under way at once.
func NewDeleter(q Queue, concurrency int, guard panics.Guard) *Deleter {
	return &Deleter{batch.New(batch.Config[Delivery]{Max: MaxBatch, Concurrency: concurrency, Guard: guard},
		func(ctx context.Context, ds []Delivery) ([]struct{}, []error) {
			ctx, cancel := context.WithTimeout(ctx, callWithin)
			defer cancel()
			return nil, q.Delete(ctx, ds)
		})}
}

// Delete returns once the delivery is deleted, or could not be.
func (s *Deleter) Delete(ctx context.Context, d Delivery) error {
	_, err := s.batch.Do(ctx, d)
	return err
}

// Extender extends deliveries of one queue in the same way, those for the same
// time together. It keeps a little for each time that it was asked for: the
// times should be few, such as whole seconds up to a minute.
type Extender struct {
	queue       Queue
	concurrency int // of the calls for each time
	guard       panics.Guard

	mu    sync.Mutex
	times map[time.Duration]*batch.Batcher[Delivery, struct{}]
}

// NewExtender extends deliveries of q, with at most so many calls for each time
// under way at once.
func NewExtender(q Queue, concurrency int, guard panics.Guard) *Extender {
	return &Extender{queue: q, concurrency: concurrency, guard: guard, times: map[time.Duration]*batch.Batcher[Delivery, struct{}]{}}
}

// Extend returns once the delivery is ours for visibility from now on, or could
// not be extended.
func (e *Extender) Extend(ctx context.Context, d Delivery, visibility time.Duration) error {
	_, err := e.of(visibility).Do(ctx, d)
	return err
}

func (e *Extender) of(visibility time.Duration) *batch.Batcher[Delivery, struct{}] {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.times[visibility]
	if b == nil {
		b = batch.New(batch.Config[Delivery]{Max: MaxBatch, Concurrency: e.concurrency, Guard: e.guard},
			func(ctx context.Context, ds []Delivery) ([]struct{}, []error) {
				ctx, cancel := context.WithTimeout(ctx, callWithin)
				defer cancel()
				return nil, e.queue.Extend(ctx, ds, visibility)
			})
		e.times[visibility] = b
	}
	return b
}
