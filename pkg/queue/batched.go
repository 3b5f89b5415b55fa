package queue

import (
	"context"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
)

// Sender puts on one queue what many goroutines send one message at a time:
// what comes while a call is under way goes together in the next, so that an
// idle sender adds no delay and a busy one makes full batches.
type Sender struct {
	batch *batch.Batcher[Message, struct{}]
}

// NewSender sends to q, with at most so many calls under way at once.
func NewSender(q Queue, concurrency int) *Sender {
	return &Sender{batch.New(batch.Config[Message]{
		Max: MaxBatch, MaxWeight: MaxMessageBytes, Weight: Message.Size, Concurrency: concurrency,
	}, func(ctx context.Context, ms []Message) ([]struct{}, []error) {
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
func NewDeleter(q Queue, concurrency int) *Deleter {
	return &Deleter{batch.New(batch.Config[Delivery]{Max: MaxBatch, Concurrency: concurrency},
		func(ctx context.Context, ds []Delivery) ([]struct{}, []error) { return nil, q.Delete(ctx, ds) })}
}

// Delete returns once the delivery is deleted, or could not be.
func (s *Deleter) Delete(ctx context.Context, d Delivery) error {
	_, err := s.batch.Do(ctx, d)
	return err
}
