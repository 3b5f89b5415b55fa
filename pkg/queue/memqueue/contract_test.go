package memqueue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/queuetest"
)

func TestKeepsTheContract(t *testing.T) {
	n := 0
	queuetest.RunInBubbles(t, func(_ *testing.T, o queuetest.Options) queue.Queue {
		n++
		options := memqueue.Options{MaxReceiveCount: o.MaxReceiveCount, MaxBytes: o.MaxBytes}
		if o.DeadLetter != nil {
			options.DeadLetter = o.DeadLetter.(*memqueue.Queue)
		}
		return memqueue.New(fmt.Sprint("q", n), options)
	})
}

// SQS answers such a Delete with success. memqueue is stricter, so that a test
// finds code that deletes a delivery that it has lost.
func TestDeleteOfALostDeliveryIsErrGone(t *testing.T) {
	q := memqueue.New("q", memqueue.Options{})
	send(t, q, of("a", 1)...)
	lost := receive(t, q, queue.Poll{Max: 1})
	ours := receive(t, q, queue.Poll{Max: 1, Visibility: time.Minute})
	if err := q.Delete(t.Context(), lost)[0]; !errors.Is(err, queue.ErrGone) {
		t.Errorf("delete = %v, want ErrGone", err)
	}
	if err := q.Delete(t.Context(), ours)[0]; err != nil {
		t.Errorf("delete by the owner: %v", err)
	}
}
