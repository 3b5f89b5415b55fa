package sqs

import "github.com/scriptfleet/scriptfleet/pkg/localaws/faults"

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

// Odds is for the set of faults.
func (f Fault) Odds() (times int, probability float64) { return f.Times, f.Probability }

// Faults is the set of faults of a server.
type Faults = faults.Set[Fault]

// hit says whether a fault of the kind strikes now.
func hit(f *Faults, kind FaultKind, op, queue string) bool {
	if f == nil {
		return false
	}
	_, ok := f.Hit(func(f Fault) bool {
		return f.Kind == kind && (f.Op == "" || f.Op == op) && (f.Queue == "" || f.Queue == queue)
	})
	return ok
}

var (
	unavailable = &apiError{"ServiceUnavailable", 503, "An injected fault."}
	entryFault  = &apiError{"InternalError", 500, "An injected fault."}
)

// Faults are the faults of this server.
func (s *Server) Faults() *Faults { return s.faults }
