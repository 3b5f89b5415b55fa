package lambda

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"go.uber.org/zap"
)

// Limits of an invocation's payload.
const (
	maxPayload      = 6 << 20
	maxEventPayload = 1 << 20
)

func (s *Server) invoke(w http.ResponseWriter, r *http.Request, t target) error {
	kind := r.Header.Get("X-Amz-Invocation-Type")
	limit := int64(maxPayload)
	if kind == "Event" {
		limit = maxEventPayload
	}
	payload, err := readBody(r, limit, "InvokeFunction")
	if err != nil {
		return err
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if !json.Valid(payload) {
		return &apiError{status: 400, typ: "InvalidRequestContentException", text: "Could not parse request body into json: the payload is no JSON."}
	}
	if q := r.URL.Query().Get("Qualifier"); q != "" && q != latest {
		return notFound("Function not found: %s:%s", t.arn, q)
	}
	call, err := s.begin(t.name, kind == "DryRun")
	if err != nil {
		return err
	}
	call.id, call.traceID, call.payload = w.Header().Get("X-Amzn-Requestid"), r.Header.Get("X-Amzn-Trace-Id"), payload
	switch kind {
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
		return nil
	case "Event":
		go call.run()
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	// As on Lambda, an invocation goes on after its caller has gone.
	done := make(chan struct{})
	go func() { call.run(); close(done) }()
	select {
	case <-done:
		return call.answer(w, r.Header.Get("X-Amz-Log-Type") == "Tail")
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// call is a running invocation.
type call struct {
	server      *Server
	pool        *pool
	id, traceID string
	payload     []byte
	outcome     outcome
	err         error
}

// begin admits an invocation: the function must be Active and concurrency
// available. A dry run does not count towards the concurrency.
func (s *Server) begin(name string, dry bool) (*call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if s.closed {
		return nil, &apiError{status: 503, typ: "ServiceException", text: "The endpoint is being shut down."}
	}
	if err := s.wake(f); err != nil {
		return nil, err
	}
	if dry {
		return &call{}, nil
	}
	if f.Reserved != nil && f.pool.inFlight >= *f.Reserved {
		return nil, throttled("ReservedFunctionConcurrentInvocationLimitExceeded", "Rate Exceeded.")
	}
	if s.inFlight >= s.cfg.MaxConcurrency {
		return nil, throttled("ConcurrentInvocationLimitExceeded", "Rate Exceeded.")
	}
	s.inFlight++
	f.pool.inFlight++
	s.work.Add(1)
	return &call{server: s, pool: f.pool}, nil
}

// wake returns nil for an Active function only. An Inactive one becomes
// Pending, and then Active again. The caller holds s.mu.
func (s *Server) wake(f *function) error {
	switch f.State {
	case stateActive:
		if f.pool == nil { // left by an earlier process
			program, err := s.programOf(f)
			if err != nil {
				return internal(err)
			}
			f.pool = &pool{server: s, program: program}
		}
		return nil
	case stateInactive:
		f.State, f.StateReasonCode, f.StateReason = statePending, "Restoring", "The function is being restored."
		s.prepareLater(f)
		return notReady("The function is inactive and its resources are being restored. Wait for it to become active and try again.")
	default:
		return conflict("The operation cannot be performed at this time. The function is currently in the following state: %s", f.State)
	}
}

// run performs an invocation.
func (c *call) run() {
	defer c.finish()
	if err := c.server.guard(c.pool.program.name, c.carry); err != nil {
		c.err = err
	}
}

func (c *call) carry() {
	got := c.pool.acquire(c.server.life)
	switch {
	case got.err != nil:
		c.err = got.err
	case got.failed != nil:
		c.outcome = *got.failed
	default:
		c.outcome.dead = true // in case invoke panics
		defer func() { c.pool.release(got.env, c.outcome) }()
		c.outcome = got.env.invoke(c.id, c.traceID, c.payload)
	}
}

func (c *call) finish() {
	s := c.server
	s.mu.Lock()
	s.inFlight--
	c.pool.inFlight--
	s.mu.Unlock()
	s.work.Done()
}

func (c *call) answer(w http.ResponseWriter, tail bool) error {
	if c.err != nil {
		if errors.Is(c.err, errClosed) {
			return notFound("Function not found: %s", c.pool.program.arn)
		}
		c.server.log.Warn("invoke", zap.String("function", c.pool.program.name), zap.Error(c.err))
		return internal(c.err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Executed-Version", latest)
	if c.outcome.functionError != "" {
		h.Set("X-Amz-Function-Error", c.outcome.functionError)
	}
	if tail {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(c.outcome.log))
	}
	h.Set("Content-Length", strconv.Itoa(len(c.outcome.payload)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(c.outcome.payload)
	return nil
}
