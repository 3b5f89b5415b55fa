package queuetest

import (
	"testing"
	"testing/synctest"

	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// A queue that delivers messages twice must fail the claim.
func TestAQueueThatDeliversTwiceIsFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := memqueue.New("broken", memqueue.Options{Faults: memqueue.Faults{
			Duplicate: func(id string) bool { return id == "broken/m100" },
		}})
		if err := shared(t.Context(), broken, 8, 200); err == nil {
			t.Error("one message was delivered twice, and nobody noticed")
		}
	})
}
