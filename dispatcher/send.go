package dispatcher

import (
	"context"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// sender puts on one queue what many requests send one at a time: what comes
// while a call is under way goes together in the next.
type sender struct {
	batch *batch.Batcher[queue.Message, struct{}]
}

func newSender(q queue.Queue) *sender {
	return &sender{batch.New(batch.Config[queue.Message]{
		Max: queue.MaxBatch, MaxWeight: queue.MaxMessageBytes, Weight: func(m queue.Message) int { return len(m.Body) },
		Concurrency: 2,
	}, func(ctx context.Context, ms []queue.Message) ([]struct{}, []error) {
		return nil, q.Send(ctx, ms)
	})}
}

func (s *sender) send(ctx context.Context, m queue.Message) error {
	_, err := s.batch.Do(ctx, m)
	return err
}
