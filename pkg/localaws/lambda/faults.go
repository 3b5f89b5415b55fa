package lambda

import (
	"net/http"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/faults"
)

// FaultKind is the effect of a fault.
type FaultKind string

const (
	Throttle    FaultKind = "throttle" // 429
	Refuse      FaultKind = "refuse"   // the fault's own Error
	ServerError FaultKind = "5xx"      // 500 ServiceException
	Hang        FaultKind = "hang"     // no answer until the caller or the server gives up
	CloseConn   FaultKind = "close"    // the connection is closed without an answer
)

// Fault makes calls fail. With zero Times and Probability every call fails.
type Fault struct {
	Op          string // such as Invoke or CreateFunction; empty means every call
	Function    string // name of the function; empty: every one
	Kind        FaultKind
	Error       Error   // of Refuse
	Reason      string  // of a Throttle; default ConcurrentInvocationLimitExceeded
	After       bool    // the call is executed first, and only its answer is lost
	Times       int     // how many calls fail
	Probability float64 // that a call fails
}

// Error is an error code of Lambda with its HTTP status and message.
type Error struct {
	Status        int
	Code, Message string
}

// Odds implements faults.Fault.
func (f Fault) Odds() (times int, probability float64) { return f.Times, f.Probability }

// Faults is a server's set of faults.
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

// lostAnswer discards an answer.
type lostAnswer struct{ header http.Header }

func (l *lostAnswer) Header() http.Header         { return l.header }
func (l *lostAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (l *lostAnswer) WriteHeader(int)             {}
