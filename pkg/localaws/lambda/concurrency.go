package lambda

import "net/http"

// unreserved is the concurrency that reservations must leave to other
// functions.
const unreserved = 100

func (s *Server) putConcurrency(w http.ResponseWriter, r *http.Request, t target) error {
	var in struct{ ReservedConcurrentExecutions *int }
	if err := readJSON(r, "PutFunctionConcurrency", &in); err != nil {
		return err
	}
	if in.ReservedConcurrentExecutions == nil || *in.ReservedConcurrentExecutions < 0 {
		return invalid("ReservedConcurrentExecutions must be 0 or more.")
	}
	return s.setConcurrency(w, t, in.ReservedConcurrentExecutions)
}

func (s *Server) deleteConcurrency(w http.ResponseWriter, _ *http.Request, t target) error {
	return s.setConcurrency(w, t, nil)
}

func (s *Server) setConcurrency(w http.ResponseWriter, t target, reserved *int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(t.name)
	if err != nil {
		return err
	}
	before := f.Reserved
	f.Reserved = reserved
	if reserved != nil && s.cfg.MaxConcurrency-s.reserved() < min(unreserved, s.cfg.MaxConcurrency/10) {
		f.Reserved = before
		return invalid("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", min(unreserved, s.cfg.MaxConcurrency/10))
	}
	if err := s.store.putFunction(f); err != nil {
		f.Reserved = before
		return err
	}
	if reserved == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	writeJSON(w, http.StatusOK, map[string]int{"ReservedConcurrentExecutions": *reserved})
	return nil
}

// reserved is the sum of all reservations. The caller holds s.mu.
func (s *Server) reserved() (n int) {
	for _, f := range s.functions {
		n += or(f.Reserved, 0)
	}
	return n
}

func (s *Server) getConcurrency(w http.ResponseWriter, _ *http.Request, t target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(t.name)
	if err != nil {
		return err
	}
	out := map[string]int{}
	if f.Reserved != nil {
		out["ReservedConcurrentExecutions"] = *f.Reserved
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *Server) accountSettings(w http.ResponseWriter, _ *http.Request, _ target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"AccountLimit": map[string]any{
			"TotalCodeSize": s.cfg.CodeStorage, "CodeSizeUnzipped": maxUnzipped, "CodeSizeZipped": maxDirectZip,
			"ConcurrentExecutions": s.cfg.MaxConcurrency, "UnreservedConcurrentExecutions": s.cfg.MaxConcurrency - s.reserved(),
		},
		"AccountUsage": map[string]any{"TotalCodeSize": s.storedBytes(), "FunctionCount": len(s.functions)},
	})
	return nil
}
