package dispatcher

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
)

// add changes what may be at work.
func (r *room) add(requests, bytes int) {
	r.mu.Lock()
	r.free, r.bytes = r.free+requests, r.bytes+bytes
	r.mu.Unlock()
}

// Stuck ways take all requests of a short time, and after that hold no more
// than their share.
func TestStuckWaysLeaveRoomForTheRest(t *testing.T) {
	const requests, bytes, size = 500, 16 << 20, 4 << 10
	for stuck := 1; stuck <= 8; stuck++ {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(workPart*requests, bytes)
			ways := make([]*way, stuck)
			for i := range ways {
				ways[i] = newWay(zap.NewNop(), memqueue.New("q", memqueue.Options{}), 0, nil, panics.Guard{})
			}
			for n := range requests { // each is received, and waits as long as it may
				w := ways[n%stuck]
				r.add(-1, -size)
				place, within, ok := r.enter(w, size)
				if !ok {
					t.Fatal("a way is behind that only just began")
				}
				time.AfterFunc(within, func() { r.leave(w, place, size); r.add(1, size) })
			}
			time.Sleep(2 * behind)
			r.mu.Lock()
			free := r.free
			r.mu.Unlock()
			if least := requests/(stuck+1) - stuck; free < least {
				t.Errorf("%d stuck ways leave %d of %d free, want %d", stuck, free, requests, least)
			}
			for _, w := range ways {
				if _, _, ok := r.enter(w, size); ok {
					t.Error("a way that is stuck takes more")
				}
			}
			if _, within, ok := r.enter(newWay(zap.NewNop(), memqueue.New("q", memqueue.Options{}), 0, nil, panics.Guard{}), size); !ok || within != sendWithin {
				t.Errorf("%d stuck ways keep another from sending", stuck)
			}
			time.Sleep(2 * sendWithin)
		})
	}
}
