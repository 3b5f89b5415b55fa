package sqs

import "github.com/scriptfleet/scriptfleet/pkg/localaws/faults"

// FaultKind is the effect of a fault.
type FaultKind string

const (
	Refuse  FaultKind = "refuse"  // the whole call fails with 503 ServiceUnavailable and has no effect
	Entries FaultKind = "entries" // single entries of a batch fail with InternalError and have no effect
	Lose    FaultKind = "lose"    // single entries of a delete or a change of visibility are answered with success and have no effect
	Twice   FaultKind = "twice"   // single received messages are visible again at once, for another receiver
)

// Fault makes calls fail, for tests. With zero Times and Probability all calls
// fail.
type Fault struct {
	Queue       string // name; empty: every queue
	Op          string // SendMessage, ReceiveMessage, DeleteMessage or ChangeMessageVisibility, batches included; empty: all
	Kind        FaultKind
	Times       int     // how many calls or entries it hits
	Probability float64 // that it hits a call (Refuse) or an entry (other kinds)
}

// Odds implements faults.Fault.
func (f Fault) Odds() (times int, probability float64) { return f.Times, f.Probability }

// Faults is a server's set of faults.
type Faults = faults.Set[Fault]

// hit tells whether a fault of the kind hits now.
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

// Faults is the server's set of faults.
func (s *Server) Faults() *Faults { return s.faults }
