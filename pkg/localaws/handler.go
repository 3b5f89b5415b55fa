package localaws

import (
	"encoding/json"
	"net/http"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// handler is the handler of all AWS services.
func (s *Stack) handler() http.Handler {
	services := map[string]http.Handler{"sqs": s.sqs, "sts": s.sts, "s3": s.s3, "lambda": s.functions}
	route := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service := services[auth.ServiceOf(r)]
		if id, _ := auth.From(r.Context()); service == s.functions && id.Account() != s.cfg.Account {
			// Another account has no functions here, and lists none of the fleet's.
			auth.WriteDenied(w, "lambda", auth.Denied(id, "lambda:*", "*"))
			return
		}
		if id, _ := auth.From(r.Context()); service != nil && id.Account() != s.cfg.Account {
			if n := s.stores(r, auth.ServiceOf(r)); n > 0 && !s.kept.admits(id, n) {
				s.kept.refuse(w, auth.ServiceOf(r))
				return
			}
		}
		if service == nil {
			auth.WriteJSONError(w, http.StatusNotImplemented, "UnknownOperationException", "InvalidAction",
				"the embedded stack has no service "+auth.ServiceOf(r))
			return
		}
		service.ServeHTTP(w, r)
	})
	signed := auth.NewVerifier(s.keys, nil, s.guests.admit).Verify(route)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/health" && r.Header.Get("Authorization") == "" {
			s.health(w, r)
			return
		}
		w.Header().Set("X-Amzn-Requestid", uuid.NewString()) // SDKs show it in their errors
		s.guard(w, r, signed)
	})
}

// guard serves one call. A panic in it fails that call alone; the answer and
// the log have the same id. http.ErrAbortHandler is passed on: a handler uses
// it to close its connection.
func (s *Stack) guard(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer, abort := &begun{ResponseWriter: w}, false
	p := panics.Catch(func() {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				abort = true
			default:
				panic(v)
			}
		}()
		next.ServeHTTP(answer, r)
	})
	if p != nil {
		service := auth.ServiceOf(r)
		s.faults("calls").Report(p, zap.String("service", service))
		if !answer.header {
			auth.WriteInternal(w, service, p.Error())
			return
		}
	}
	if abort || p != nil { // a partial answer must not look complete
		panic(http.ErrAbortHandler)
	}
}

// begun records whether an answer has begun.
type begun struct {
	http.ResponseWriter
	header bool
}

func (b *begun) WriteHeader(status int) {
	b.header = true
	b.ResponseWriter.WriteHeader(status)
}

func (b *begun) Write(p []byte) (int, error) {
	b.header = true
	return b.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// health reports what runs here, once all of it is ready. It needs no signature
// and contains no secret.
func (s *Stack) health(w http.ResponseWriter, r *http.Request) {
	status, code, functions := "ok", http.StatusOK, "running"
	if err := s.Ready(r.Context()); err != nil {
		status, code, functions = "degraded", http.StatusServiceUnavailable, err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{ // on an error the client has gone
		"status":   status,
		"services": map[string]string{"sqs": "running", "lambda": functions, "sts": "running", "s3": "running", "redis": "running"},
		"sandbox":  s.Sandbox(r.Context()),
		"region":   s.cfg.Region,
		"account":  s.cfg.Account,
	})
}
