package queue

import (
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// callWithin bounds one call of a batch, the transfer of large bodies to their
// store included. So an entry waits at most that long for the next call to
// begin.
const callWithin = 30 * time.Second

// Sender sends the messages of many goroutines to one queue in batches.
// Messages that arrive while a call is under way go together in the next call.
// So an idle Sender adds no delay, and a busy one makes full batches.
type Sender struct {
	batch *batch.Batcher[Message, struct{}]
}

// NewSender returns a Sender for q that makes at most concurrency calls at once.
// A message waits for others for up to linger, if they are expected by the rate
// of the latest ones, and for up to twice as long if a call is under way.
func NewSender(q Queue, concurrency int, linger time.Duration, guard panics.Guard) *Sender {
	return &Sender{batch.New(batch.Config[Message]{
		Max: MaxBatch, MaxWeight: min(MaxMessageBytes, q.MaxBytes()), Weight: Message.Size, Concurrency: concurrency,
		Linger: linger, ByRate: true, Behind: 2 * linger, Guard: guard,
	}, func(ctx context.Context, ms []Message) ([]struct{}, []error) {
		ctx, cancel := context.WithTimeout(ctx, callWithin)
		defer cancel()
		return nil, q.Send(ctx, ms)
	})}
}

// Send returns nil once the message is on the queue. Its errors are those of
// Queue.Send and the cause of ctx.
func (s *Sender) Send(ctx context.Context, m Message) error {
	_, err := s.batch.Do(ctx, m)
	return err
}

// deleteWithin is how long a delete waits for others. No run waits for it, and
// the delivery stays hidden for much longer.
const deleteWithin = 300 * time.Millisecond

// Deleter deletes the deliveries of many goroutines in batches: when MaxBatch of
// them wait, or the first has waited for deleteWithin.
type Deleter struct {
	batch *batch.Batcher[Delivery, struct{}]
}

// NewDeleter returns a Deleter for q that makes at most concurrency calls at
// once.
func NewDeleter(q Queue, concurrency int, guard panics.Guard) *Deleter {
	return &Deleter{batch.New(batch.Config[Delivery]{Max: MaxBatch, Concurrency: concurrency, Linger: deleteWithin, Guard: guard},
		func(ctx context.Context, ds []Delivery) ([]struct{}, []error) {
			ctx, cancel := context.WithTimeout(ctx, callWithin)
			defer cancel()
			return nil, q.Delete(ctx, ds)
		})}
}

// Delete returns nil once the delivery is deleted. Its errors are those of
// Queue.Delete and the cause of ctx.
func (s *Deleter) Delete(ctx context.Context, d Delivery) error {
	_, err := s.batch.Do(ctx, d)
	return err
}

// Extender extends the deliveries of many goroutines in batches, as Sender
// sends. A batch holds deliveries for one visibility. The Extender keeps a
// batcher for each visibility that it was asked for, so there should be few
// different ones, such as whole seconds up to a minute.
type Extender struct {
	queue       Queue
	concurrency int // of the calls for each visibility
	guard       panics.Guard

	mu    sync.Mutex
	times map[time.Duration]*batch.Batcher[Delivery, struct{}]
}

// NewExtender returns an Extender for q that makes at most concurrency calls at
// once for each visibility.
func NewExtender(q Queue, concurrency int, guard panics.Guard) *Extender {
	return &Extender{queue: q, concurrency: concurrency, guard: guard, times: map[time.Duration]*batch.Batcher[Delivery, struct{}]{}}
}

// Extend returns nil once the delivery is ours for visibility from now on. Its
// errors are those of Queue.Extend and the cause of ctx.
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
