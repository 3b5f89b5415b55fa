// Package claimcheck sends bodies that are too large for a queue through an
// object store: the message on the queue is a pointer to the body in the store.
// It uses the format of the official SQS Extended Clients, so sender or
// receiver may be one of them.
//
// The rules:
//
//   - A pointer is followed only into the store's bucket and under the queue's
//     prefix. If its key has the form that this package writes, <prefix>/<hash
//     of the group>/<random>, it is followed only for a delivery of that group.
//     A delivery with any other pointer keeps the pointer as its body, and
//     [Problem] returns the reason.
//   - If the store cannot be reached, no delivery is lost: those whose bodies
//     cannot be read now are put back with a delay.
//   - A body is stored before its message is sent. This package never removes
//     it: the bucket needs a lifecycle rule that keeps objects for longer than
//     any queue keeps messages. So if an object is missing ([ErrNoObject]),
//     this package did not write the message, or the message is too old.
//
// Callers do not see the attributes of the claim check.
package claimcheck

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// The errors of [Problem]: reasons why the body of a delivery can never be
// read.
var (
	ErrMalformed = errors.New("claim check: the body is not a valid pointer")
	ErrForeign   = errors.New("claim check: the pointer leads to an object that this queue may not read")
	ErrNoObject  = errors.New("claim check: the object does not exist")
	ErrTooLarge  = errors.New("claim check: the object is larger than a body may be")
)

// Store holds bodies under keys in one bucket. Its methods are safe for
// concurrent use.
type Store interface {
	Bucket() string
	Put(ctx context.Context, key string, body []byte) error
	// Get returns an object of at most limit bytes. It fails with ErrNoObject
	// if there is none, and with ErrTooLarge, without reading all of it, if it
	// has more bytes.
	Get(ctx context.Context, key string, limit int) ([]byte, error)
}

// DefaultMaxBody is 16 MiB. Lambda takes and returns 6 MiB; the rest is for the
// other fields of an event.
const DefaultMaxBody = 16 << 20

// Config says how a queue uses its store.
type Config struct {
	// Prefix of the keys, without a slash at its end. A queue and its
	// dead-letter queue must have the same prefix, since SQS moves messages
	// between them. Queues whose bodies must stay separate must have different
	// prefixes.
	Prefix string
	// Threshold is the Message.Size above which a body is stored, in bytes. 0
	// means the MaxBytes of the wrapped queue.
	Threshold int
	// MaxBody bounds a body, in bytes; 0 means DefaultMaxBody.
	MaxBody int
	// Foreign allows keys of official clients: any key under Prefix, or, if
	// Prefix is empty, any key without a slash.
	Foreign bool
	Log     *zap.Logger // logs deliveries that were put back; nil logs nothing
}

// Queue is a queue with a claim check for large bodies.
type Queue struct {
	queue.Queue
	store Store
	cfg   Config
}

// Wrap adds a claim check to q, with its bodies in store.
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

// MaxBytes returns the size of the largest body, in bytes.
func (q *Queue) MaxBytes() int { return q.cfg.MaxBody }

// storeWithin bounds all calls of the store within one Receive.
const storeWithin = 30 * time.Second
