// Package claimcheck lets bodies larger than a queue takes travel through an
// object store: the queue carries a pointer, the store the body. The format is
// that of the official SQS Extended Clients, so either end may be one of them.
//
// What holds:
//
//   - A pointer is followed only inside the store's one bucket, under the queue's
//     own prefix, and, where its key is of the form that this package writes
//     (<prefix>/<hash of the group>/<random>), only for a delivery of that group.
//     Any other comes back with its body as it stands, and [Problem] says why.
//   - A store that cannot be reached hides and loses nothing: deliveries whose
//     bodies can't be had now go back to their queue, to come again after a while.
//   - A body is stored before its message is sent, and nothing here removes it:
//     the bucket's lifecycle rule does, and is to keep objects for longer than any
//     queue keeps messages. So a message without its object is one that was not
//     made here, or too old ([ErrNoObject]).
//
// Attributes that tell of the claim check are seen by no caller.
package claimcheck

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Why a delivery's claim check can't be redeemed, now or later.
var (
	ErrMalformed = errors.New("claim check: the body is no pointer")
	ErrForeign   = errors.New("claim check: the pointer leads outside of what this queue may read")
	ErrNoObject  = errors.New("claim check: the object is not there")
	ErrTooLarge  = errors.New("claim check: the object is larger than a body may be")
)

// Store holds bodies under keys in one bucket. Its methods are safe for
// concurrent use.
type Store interface {
	Bucket() string
	Put(ctx context.Context, key string, body []byte) error
	// Get fails with ErrNoObject, and with ErrTooLarge beyond limit bytes, of
	// which it reads no more than that.
	Get(ctx context.Context, key string, limit int) ([]byte, error)
}

// DefaultMaxBody is what Lambda takes and gives, 6 MiB each way, and what stands
// around it in an event.
const DefaultMaxBody = 16 << 20

// Config says how a queue uses its store.
type Config struct {
	// Prefix of the keys, without the slash at its end. Queues between which
	// messages move by themselves, as to a dead-letter queue, share one; queues
	// that are to keep apart do not.
	Prefix string
	// Threshold is the size, in bytes of body and attributes, above which a body
	// is stored; 0 is what a queue takes.
	Threshold int
	// MaxBody bounds a body; 0 is DefaultMaxBody.
	MaxBody int
	// Foreign is set where others send with an official client: their keys are
	// taken in any form under Prefix; where Prefix is empty, in the bucket's top
	// level.
	Foreign bool
	Log     *zap.Logger // of bodies put back; nil for none
}

// Queue is a queue whose bodies may be large.
type Queue struct {
	queue.Queue
	store Store
	cfg   Config
}

// Wrap lets q's large bodies travel through store.
func Wrap(q queue.Queue, store Store, cfg Config) *Queue {
	if cfg.Threshold <= 0 || cfg.Threshold > q.MaxBytes() {
		cfg.Threshold = q.MaxBytes()
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	return &Queue{Queue: q, store: store, cfg: cfg}
}

// MaxBytes is the size of the largest body.
func (q *Queue) MaxBytes() int { return q.cfg.MaxBody }

// storeWithin bounds what is done with the store for one call of a queue.
const storeWithin = 30 * time.Second
