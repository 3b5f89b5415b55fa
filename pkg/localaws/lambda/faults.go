package lambda

import (
	"net/http"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/faults"
)

// FaultKind is what happens to a call.
type FaultKind string

const (
	Throttle    FaultKind = "throttle" // 429
	Refuse      FaultKind = "refuse"   // the fault's own Error
	ServerError FaultKind = "5xx"      // 500 ServiceException
	Hang        FaultKind = "hang"     // no answer until the caller or the server gives up
	CloseConn   FaultKind = "close"    // the connection is closed without an answer
)

// Fault makes calls fail. The zero values of Times and Probability mean: every
// call.
type Fault struct {
	Op          string // such as Invoke or CreateFunction; empty means every call
	Function    string // that the call is about, by its name; empty means every one
	Kind        FaultKind
	Error       Error   // of Refuse
	Reason      string  // of a Throttle; default ConcurrentInvocationLimitExceeded
	After       bool    // the call is executed first, and only its answer is lost
	Times       int     // how many calls fail
	Probability float64 // of a call to fail
}

// Error is one that Lambda may answer with.
type Error struct {
	Status        int
	Code, Message string
}

// Odds is for the set of faults.
func (f Fault) Odds() (times int, probability float64) { return f.Times, f.Probability }

// Faults is the set of faults of a server.
type Faults = faults.Set[Fault]

// fault returns the fault that hits a call.
func (s *Server) fault(op string, args []string) (Fault, bool) {
	return s.faults.Hit(func(f Fault) bool {
		return (f.Op == "" || f.Op == op) && (f.Function == "" || len(args) > 0 && f.Function == args[0])
	})
}

func (f Fault) apply(s *Server, w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter)) {
	if f.After {
		serve(&lostAnswer{w.Header().Clone()})
	}
	switch f.Kind {
	case Throttle:
		reason := f.Reason
		if reason == "" {
			reason = "ConcurrentInvocationLimitExceeded"
		}
		throttled(reason, "Rate Exceeded.").write(w)
	case Refuse:
		(&apiError{status: f.Error.Status, typ: f.Error.Code, text: f.Error.Message}).write(w)
	case Hang:
		select {
		case <-r.Context().Done():
		case <-s.life.Done():
		}
		panic(http.ErrAbortHandler)
	case CloseConn:
		panic(http.ErrAbortHandler)
	default:
		(&apiError{status: 500, typ: "ServiceException", text: "An injected fault."}).write(w)
	}
}

// lostAnswer takes an answer that nobody gets.
type lostAnswer struct{ header http.Header }

func (l *lostAnswer) Header() http.Header         { return l.header }
func (l *lostAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (l *lostAnswer) WriteHeader(int)             {}
