package sqs

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// FaultKind is what goes wrong with a call.
type FaultKind string

const (
	Refuse  FaultKind = "refuse"  // the whole call fails with 503 ServiceUnavailable; nothing is done
	Entries FaultKind = "entries" // each entry of a batch for itself fails with InternalError; nothing is done with it
	Lose    FaultKind = "lose"    // each entry of a delete or a change of visibility is answered with success and not done
	Twice   FaultKind = "twice"   // each message received is visible again at once, for another receiver
)

// Fault makes calls go wrong, for tests. The zero values of Times and
// Probability mean: always.
type Fault struct {
	Queue       string // its name; empty means every queue
	Op          string // SendMessage, ReceiveMessage, DeleteMessage or ChangeMessageVisibility, batches included; empty means all
	Kind        FaultKind
	Times       int     // how often it hits
	Probability float64 // of a call (Refuse) or an entry (the others) to be hit
}

// Faults is a set of faults, to be changed while the server runs. The zero
// value is empty.
type Faults struct {
	mu  sync.Mutex
	all []*Fault
}

// Add adds a fault and returns how to take it back.
func (f *Faults) Add(fault Fault) (remove func()) {
	added := &fault
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, added)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all = slices.DeleteFunc(f.all, func(o *Fault) bool { return o == added })
	}
}

// Clear takes all faults back.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = nil
}

// hit says whether a fault of the kind strikes now.
func (f *Faults) hit(kind FaultKind, op, queue string) bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.all {
		if fault.Kind != kind || (fault.Op != "" && fault.Op != op) || (fault.Queue != "" && fault.Queue != queue) ||
			(fault.Probability > 0 && rand.Float64() >= fault.Probability) {
			continue
		}
		if fault.Times == 1 {
			f.all = slices.Delete(f.all, i, i+1)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return true
	}
	return false
}

var (
	unavailable = &apiError{"ServiceUnavailable", 503, "An injected fault."}
	entryFault  = &apiError{"InternalError", 500, "An injected fault."}
)

// Faults are the faults of this server.
func (s *Server) Faults() *Faults { return s.faults }
