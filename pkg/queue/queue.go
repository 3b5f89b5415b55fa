// Package queue defines the queues of scriptfleet: at-least-once delivery, a
// visibility time during which a delivery is ours, and batches whose entries
// succeed or fail one by one. sqsqueue implements it on SQS, memqueue in
// memory; queuetest holds both to this contract.
package queue

import (
	"context"
	"errors"
	"time"
)

// Limits of SQS. Adapters split larger slices into several calls.
const (
	MaxBatch        = 10               // entries of one call
	MaxMessageBytes = 1 << 20          // of a message, and of all messages of a call: Message.Size; a queue may take less
	MaxWait         = 20 * time.Second // of a long poll
	MaxVisibility   = 12 * time.Hour   // counted from the first receive
	MaxDelay        = 15 * time.Minute
)

// ErrGone is the error of Delete and Extend for a delivery that is no longer
// ours: its visibility ran out, or the message was deleted.
var ErrGone = errors.New("queue: the delivery is no longer ours")

// ErrTooLarge is the error of Send for a message whose Size exceeds the queue's
// MaxBytes.
var ErrTooLarge = errors.New("queue: the message is larger than the queue takes")

// Refused tells whether err, of Send, is ErrTooLarge or ErrInvalid: sending the
// message again fails again.
func Refused(err error) bool { return errors.Is(err, ErrTooLarge) || errors.Is(err, ErrInvalid) }

// Message is a message to send.
type Message struct {
	Body       []byte
	Group      string            // MessageGroupId: the tenant, for fair delivery; may be empty
	Attributes map[string]string // at most MaxAttributes
	Delay      time.Duration     // before its first delivery

	// TraceHeader is SQS's AWSTraceHeader, in the form of X-Ray; mostly empty. It
	// does not count toward the size.
	TraceHeader string
}

// Delivery is one receipt of a message. It is ours until its visibility runs
// out. Each receive of a message makes a new Delivery.
type Delivery struct {
	MessageID    string // the same in every delivery of the message
	Handle       string // SQS's receipt handle: identifies this delivery
	Body         []byte
	Group        string
	Attributes   map[string]string
	ReceiveCount int       // 1 in the first delivery; receives that were put back count too
	SentAt       time.Time // by the queue's clock
	FirstAt      time.Time // of the first receive, by the queue's clock
	ReceivedAt   time.Time // by our clock; the visibility counts from here
	TraceHeader  string    // as it was sent, by whomever
}

// Poll is the parameters of a receive.
type Poll struct {
	Max        int           // 1 to MaxBatch
	Wait       time.Duration // 0 to MaxWait: how long to wait for the first message
	Visibility time.Duration // how long the deliveries are ours
}

// Depth is the number of messages on a queue by state. The numbers are
// approximate.
type Depth struct {
	Visible, InFlight, Delayed int
}

// Total is the number of messages on the queue.
func (d Depth) Total() int { return d.Visible + d.InFlight + d.Delayed }

// Queue is one queue. Its methods are safe for concurrent use.
//
// Send, Delete and Extend take any number of entries. They return one error for
// each entry, in order: nil where the entry succeeded.
type Queue interface {
	Name() string

	// MaxBytes is the size of the largest message that the queue takes, in
	// bytes, as it was when the queue was opened. It is at most
	// MaxMessageBytes, or more on a queue with a claim check.
	MaxBytes() int

	// Receive returns as soon as there is at least one message, or with none
	// after p.Wait. Do not cancel a poll under way: messages that it was about
	// to return can stay hidden until their visibility runs out.
	Receive(ctx context.Context, p Poll) ([]Delivery, error)

	// Send puts messages on the queue. A message whose error is neither
	// ErrTooLarge nor ErrInvalid may be on the queue nevertheless.
	Send(ctx context.Context, ms []Message) []error

	// Delete deletes the messages of the deliveries.
	Delete(ctx context.Context, ds []Delivery) []error

	// Extend makes the deliveries ours for visibility from now on. A visibility
	// of 0 puts them back at once; a longer one puts them back after that time,
	// unless they are extended or deleted before.
	Extend(ctx context.Context, ds []Delivery, visibility time.Duration) []error

	Depth(ctx context.Context) (Depth, error)
}
