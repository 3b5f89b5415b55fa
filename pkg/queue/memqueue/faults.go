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

// Faults make a queue fail in the ways in which SQS may fail. Each function is
// called at every operation; a nil function makes no fault. They are called
// from many goroutines, sometimes while the queue is locked, so they must not
// call the queue.
type Faults struct {
	// Call fails a whole call of n entries, which then has no effect.
	Call func(op Op, n int) error
	// Answer fails a whole call that has taken effect: sent messages are on the
	// queue, received ones are hidden.
	Answer func(op Op) error
	// Entry fails entry i of a batch; the other entries succeed.
	Entry func(op Op, i int) error
	// Duplicate delivers the message, and puts a visible copy with the same id
	// on the queue.
	Duplicate func(messageID string) bool
	// LoseDelete makes a Delete succeed that does not delete the message.
	LoseDelete func(d queue.Delivery) bool
}

// call returns the cause of a ctx that has ended, as every client does, or else
// the error of Faults.Call.
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
