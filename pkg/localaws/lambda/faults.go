package lambda

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// FaultKind is what happens to a call.
type FaultKind string

const (
	Throttle    FaultKind = "throttle" // 429
	ServerError FaultKind = "5xx"      // 500 ServiceException
	Hang        FaultKind = "hang"     // no answer until the caller or the server gives up
	CloseConn   FaultKind = "close"    // the connection is closed without an answer
)

// Fault makes calls fail. The zero values of Times and Probability mean: every
// call.
type Fault struct {
	Op          string // such as Invoke or CreateFunction; empty means every call
	Kind        FaultKind
	Reason      string  // of a Throttle; default ConcurrentInvocationLimitExceeded
	After       bool    // the call is executed first, and only its answer is lost
	Times       int     // how many calls fail
	Probability float64 // of a call to fail
}

// Faults is a set of faults, to be changed while the server runs. The zero value
// is empty.
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

// take returns the fault that hits a call, or nil.
func (f *Faults) take(op string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.all {
		if (fault.Op != "" && fault.Op != op) || (fault.Probability > 0 && rand.Float64() >= fault.Probability) {
			continue
		}
		hit := *fault
		if fault.Times == 1 {
			f.all = slices.Delete(f.all, i, i+1)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return &hit
	}
	return nil
}

func (f *Fault) apply(s *Server, w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter)) {
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

// putFaults is no call of Lambda's: PUT /faults below any date replaces all
// faults and sets states, for tests whose endpoint is another process. Only the
// account itself may.
func (s *Server) putFaults(w http.ResponseWriter, r *http.Request, t target) error {
	if id, ok := auth.From(r.Context()); ok && !id.IsRoot() {
		return denied(id.ARN, "lambda:PutFaults", t.arn, "identity-based")
	}
	var in struct {
		Faults []*Fault
		States map[string]string // by function
	}
	if err := readJSON(r, "PutFaults", &in); err != nil {
		return err
	}
	s.faults.mu.Lock()
	s.faults.all = in.Faults
	s.faults.mu.Unlock()
	for name, state := range in.States {
		if err := s.SetState(name, state); err != nil {
			return notFound("%v", err)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// SetState puts a function into a state: Inactive and Failed, which it does not
// get into by itself here, or any other.
func (s *Server) SetState(name, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.functions[name]
	if !ok {
		return fmt.Errorf("set state: no function %s", name)
	}
	f.State, f.StateReason, f.StateReasonCode = state, "Set by a fault.", map[string]string{stateInactive: "Idle", stateFailed: "InternalError"}[state]
	return s.store.putFunction(f)
}
