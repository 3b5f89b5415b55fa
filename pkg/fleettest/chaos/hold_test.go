package chaos

import (
	"sync"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// call is one call of a process, as a tap recognises it.
type call struct {
	service string // aws or redis
	op      string // such as CreateFunction or ReceiveMessage (also for its batch form), or the names of the ledger's calls in a script
	target  string // function, layer, or queue; the first key in Redis
	body    string // request body
	status  int    // HTTP status of the answer; 0 before there is one, and for Redis
	answer  string // of AWS; empty before there is one
	by      string // the caller's tag
}

// when is the moment at which a call is held.
type when int

const (
	before when = iota // before it takes effect; it never does if the caller dies
	after              // after it took effect, before the caller has the answer
)

// hold stops calls at a tap until release.
type hold struct {
	when    when
	match   func(call) bool
	reached chan struct{} // closed once the first call is held
	freed   chan struct{}

	hit, free sync.Once
}

func newHold(w when, match func(call) bool) *hold {
	return &hold{when: w, match: match, reached: make(chan struct{}), freed: make(chan struct{})}
}

func (h *hold) stop() {
	h.hit.Do(func() { close(h.reached) })
	<-h.freed
}

// release lets the held calls continue, and holds no more.
func (h *hold) release() { h.free.Do(func() { close(h.freed) }) }

// await waits until a call is held.
func (h *hold) await(t *testing.T) {
	t.Helper()
	wait.Until(t, within, "the call that is to be held does not come", func() bool {
		select {
		case <-h.reached:
			return true
		default:
			return false
		}
	})
}

// holds are the holds of a tap, and a function that sees its calls.
type holds struct {
	mu   sync.Mutex
	all  []*hold
	seen func(call) // called with every call; for AWS after its answer
}

// add holds matching calls from now on, until the end of the test at the
// latest.
func (hs *holds) add(t *testing.T, h *hold) *hold {
	t.Cleanup(h.release)
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.all = append(hs.all, h)
	return h
}

// find returns the hold that matches a call.
func (hs *holds) find(w when, c call) *hold {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, h := range hs.all {
		select {
		case <-h.freed:
			continue
		default:
		}
		if h.when == w && h.match(c) {
			return h
		}
	}
	return nil
}

// pass blocks while a hold matches the call.
func (hs *holds) pass(w when, c call) {
	if h := hs.find(w, c); h != nil {
		h.stop()
	}
}
