// Package queue says what scriptfleet needs of a queue: at-least-once delivery,
// a visibility during which a delivery is ours, and batches in which each entry
// succeeds or fails by itself. sqsqueue keeps that promise on SQS, memqueue in
// memory; queuetest holds both to it.
package queue

import (
	"context"
	"errors"
	"time"
)

// Limits that SQS sets for one call; adapters split what callers hand them.
const (
	MaxBatch        = 10               // entries of one call
	MaxMessageBytes = 1 << 20          // a message, and the sum of a batch: body and attributes; a queue may take less
	MaxWait         = 20 * time.Second // of a long poll
	MaxVisibility   = 12 * time.Hour   // counted from the first receive
	MaxDelay        = 15 * time.Minute
)

// ErrGone is why an entry's Delete or Extend fails when the delivery is no
// longer ours: its visibility ran out, or the message was deleted.
var ErrGone = errors.New("queue: the delivery is no longer ours")

// ErrTooLarge is why an entry's Send fails when body and attributes together
// exceed the queue's MaxBytes.
var ErrTooLarge = errors.New("queue: the message is larger than the queue takes")

// Refused tells whether Send failed with err because no queue would take the
// message, however often it is sent.
func Refused(err error) bool { return errors.Is(err, ErrTooLarge) || errors.Is(err, ErrInvalid) }

// Message is what Send puts on a queue.
type Message struct {
	Body       []byte
	Group      string            // MessageGroupId: the tenant, for fair delivery; may be empty
	Attributes map[string]string // at most 10, as SQS counts them
	Delay      time.Duration     // before its first delivery
}

// Delivery is one receipt of a message. It is ours until its visibility runs
// out; every receive of the same message is another delivery.
type Delivery struct {
	MessageID    string // the same in every delivery of the message
	Handle       string // SQS's receipt handle: names this delivery
	Body         []byte
	Group        string
	Attributes   map[string]string
	ReceiveCount int       // 1 in the first delivery; put-backs count too
	SentAt       time.Time // by the queue's clock
	FirstAt      time.Time // of the first receive, by the queue's clock
	ReceivedAt   time.Time // by our clock, from which the visibility counts
}

// Poll says how to receive.
type Poll struct {
	Max        int           // 1 to MaxBatch
	Wait       time.Duration // 0 to MaxWait: how long to wait for the first message
	Visibility time.Duration // how long the deliveries are ours
}

// Depth is what a queue holds; each number is approximate, as SQS's are.
type Depth struct {
	Visible, InFlight, Delayed int
}

// Total is the number of messages that are on the queue in any way.
func (d Depth) Total() int { return d.Visible + d.InFlight + d.Delayed }

// Queue is one queue. Its methods are safe for concurrent use.
//
// Send, Delete and Extend take any number of entries and answer with one error
// for each, nil where the entry went through: a batch may fail in part.
type Queue interface {
	Name() string

	// MaxBytes is the size of the largest message that the queue takes, as it
	// was when the queue was opened: at most MaxMessageBytes, unless bodies
	// travel beside the queue.
	MaxBytes() int

	// Receive returns as soon as at least one message is there, and with none
	// when the wait is over. A poll that was begun should be let finish: a
	// cancelled one can hide messages until their visibility runs out.
	Receive(ctx context.Context, p Poll) ([]Delivery, error)

	Send(ctx context.Context, ms []Message) []error
	Delete(ctx context.Context, ds []Delivery) []error

	// Extend makes the deliveries ours for visibility from now on; zero puts
	// them back at once, more puts them back after a delay if nothing extends
	// them again.
	Extend(ctx context.Context, ds []Delivery, visibility time.Duration) []error

	Depth(ctx context.Context) (Depth, error)
}
