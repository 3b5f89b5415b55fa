package memqueue

import (
	"context"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// Op names an operation of a queue.
type Op string

const (
	OpSend    Op = "send"
	OpReceive Op = "receive"
	OpDelete  Op = "delete"
	OpExtend  Op = "extend"
	OpDepth   Op = "depth"
)

// Faults make a queue misbehave in the ways in which SQS may. Each is asked at
// every operation; nil means never. They may be called from many goroutines,
// some of them while the queue is locked: they must not call it.
type Faults struct {
	// Call fails a whole call of n entries that then has no effect.
	Call func(op Op, n int) error
	// Answer fails a whole call that has had its effect: what was sent is on
	// the queue, what was received is hidden.
	Answer func(op Op) error
	// Entry fails entry i of a batch; the others go through.
	Entry func(op Op, i int) error
	// Duplicate delivers the message and leaves a second copy of it, under the
	// same id, to be delivered at once.
	Duplicate func(messageID string) bool
	// LoseDelete says that the message was deleted, and keeps it.
	LoseDelete func(d queue.Delivery) bool
}

// call fails a call whose context has ended, as every client does, or that Call
// fails.
func (f *Faults) call(ctx context.Context, op Op, n int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f.Call == nil {
		return nil
	}
	return f.Call(op, n)
}

func (f *Faults) answer(op Op) error {
	if f.Answer == nil {
		return nil
	}
	return f.Answer(op)
}

func (f *Faults) entry(op Op, i int) error {
	if f.Entry == nil {
		return nil
	}
	return f.Entry(op, i)
}

func (f *Faults) duplicates(messageID string) bool {
	return f.Duplicate != nil && f.Duplicate(messageID)
}

func (f *Faults) losesDelete(d queue.Delivery) bool {
	return f.LoseDelete != nil && f.LoseDelete(d)
}
