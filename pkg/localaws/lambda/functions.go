package lambda

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// The states of a function.
const (
	statePending  = "Pending"
	stateActive   = "Active"
	stateInactive = "Inactive"
	stateFailed   = "Failed"
)

// function is one stored function. Only its state and its concurrency change
// after it is created.
type function struct {
	Name, ARN, Runtime, Handler, Role, Description string
	Timeout, MemorySize, Ephemeral                 int
	Variables                                      map[string]string
	Tags                                           map[string]string
	Architectures                                  []string
	Code                                           blob
	Layers                                         []attached
	Modified                                       time.Time
	Revision                                       string

	State, StateReason, StateReasonCode string
	Reserved                            *int // concurrency

	pool *pool // nil until it becomes Active in this process
}

// attached is a function's layer version. It stays usable after the version is
// deleted.
type attached struct {
	ARN string
	blob
}

// maxControlBody bounds the body of a control plane call: a 50 MB zip in
// base64, and the other fields.
const maxControlBody = 70 << 20

func readBody(r *http.Request, limit int64, operation string) ([]byte, error) {
	body, err := auth.Body(r, limit)
	switch {
	case errors.Is(err, auth.ErrTooLarge):
		return nil, tooLarge(limit, operation)
	case err != nil:
		return nil, &apiError{status: 400, typ: "InvalidRequestContentException", text: "Could not read request body: " + err.Error()}
	}
	return body, nil
}

func readJSON(r *http.Request, operation string, into any) error {
	body, err := readBody(r, maxControlBody, operation)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &apiError{status: 400, typ: "InvalidRequestContentException", text: "Could not parse request body into json: " + err.Error()}
	}
	return nil
}

func (s *Server) createFunction(w http.ResponseWriter, r *http.Request, _ target) error {
	var in createInput
	if err := readJSON(r, "CreateFunction", &in); err != nil {
		return err
	}
	f, err := s.newFunction(in)
	if err != nil {
		return err
	}
	// The permission is checked again, now that the function's name is known.
	if err := s.authorize(r, &operation{name: "CreateFunction"}, target{arn: f.ARN}); err != nil {
		return err
	}
	if len(f.Tags) > 0 {
		if err := s.authorize(r, &operation{name: "TagResource"}, target{arn: f.ARN}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	_, exists := s.functions[f.Name]
	s.mu.Unlock()
	if exists {
		return conflict("Function already exist: %s", f.Name)
	}
	data, err := s.receive(r.Context(), in.Code)
	if err != nil {
		return err
	}
	code, unpin, err := s.keep(data)
	if err != nil {
		return err
	}
	defer unpin()
	f.Code = code
	if err := s.enter(f); err != nil {
		return err
	}
	answer := s.describe(f)
	s.awaitPrepared(s.prepareLater(f))
	writeJSON(w, http.StatusCreated, answer)
	return nil
}

// preparePatience bounds the wait of CreateFunction. The largest layers take
// longer than this to unpack.
const preparePatience = 5 * time.Second

// awaitPrepared holds the answer of CreateFunction until the function is Active,
// unless functions are to stay Pending: a caller that asks for the state next
// does not have to ask again.
func (s *Server) awaitPrepared(done <-chan struct{}) {
	if s.cfg.PendingFor > 0 {
		return
	}
	late := time.NewTimer(preparePatience)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// enter attaches the layers, checks the sizes, and adds the function.
func (s *Server) enter(f *function) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := f.Code.Unzipped
	for n, l := range f.Layers {
		v, err := s.findVersion(l.ARN)
		if err != nil {
			return err
		}
		f.Layers[n].blob = v.Content
		total += v.Content.Unzipped
	}
	if total > maxUnzipped {
		return invalid("Function code combined with layers exceeds the maximum allowed size of %d bytes. The actual size is %d bytes.", maxUnzipped, total)
	}
	if _, exists := s.functions[f.Name]; exists {
		return conflict("Function already exist: %s", f.Name)
	}
	if err := s.store.putFunction(f); err != nil {
		return err
	}
	s.functions[f.Name] = f
	return nil
}

// prepareLater prepares a function in a goroutine that Close waits for. It closes
// the channel at the end.
func (s *Server) prepareLater(f *function) (done <-chan struct{}) {
	ended := make(chan struct{})
	s.work.Go(func() {
		defer close(ended)
		_ = s.guard(f.Name, func() { s.prepare(f) })
	})
	return ended
}

// prepare unpacks a Pending function's code and layers and makes it Active, or
// Failed if that fails.
func (s *Server) prepare(f *function) {
	wait := time.NewTimer(s.cfg.PendingFor)
	defer wait.Stop()
	var program *program
	var err error
	caught := s.guard(f.Name, func() {
		if program, err = s.programOf(f); err == nil {
			s.sdk(program)
		}
	})
	if caught != nil {
		err = caught
	}
	select {
	case <-wait.C:
	case <-s.life.Done():
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.functions[f.Name] != f || f.State != statePending {
		return // deleted meanwhile, or its state was set by a test
	}
	if err != nil {
		s.log.Warn("prepare function", zap.String("function", f.Name), zap.Error(err))
		f.State, f.StateReasonCode, f.StateReason = stateFailed, "InternalError", err.Error()
	} else {
		f.State, f.StateReason, f.StateReasonCode = stateActive, "", ""
		f.pool = &pool{server: s, program: program}
	}
	if err := s.store.putFunction(f); err != nil {
		s.log.Error("save function", zap.String("function", f.Name), zap.Error(err))
	}
}

// runnerFile is in the code of env runners: their runtime has a process that forks
// those of scripts, and lets none of these live on.
const runnerFile = "scriptfleet_runner.py"

// programOf unpacks everything from which a function is started.
func (s *Server) programOf(f *function) (*program, error) {
	p := &program{
		name: f.Name, arn: f.ARN, handler: f.Handler, runtime: f.Runtime, region: s.cfg.Region, endpoint: s.cfg.Endpoint, variables: f.Variables,
		memoryMB: f.MemorySize, timeoutSeconds: f.Timeout, tmpMB: f.Ephemeral, bootstrap: s.files.runtime,
	}
	var err error
	if f.Runtime != custom {
		if p.interpreter, err = s.interpreterOf(f.Runtime); err != nil {
			return nil, err
		}
	}
	if p.code, err = s.files.code(f.Code); err != nil {
		return nil, err
	}
	_, missing := os.Stat(filepath.Join(p.code, runnerFile))
	p.keeps = missing == nil
	if len(f.Layers) > 0 {
		blobs := make([]blob, len(f.Layers))
		for n, l := range f.Layers {
			blobs[n] = l.blob
		}
		if p.layers, err = s.files.merged(blobs...); err != nil {
			return nil, err
		}
	}
	if f.Runtime == custom {
		p.interpreter, err = p.own()
	}
	return p, err
}

// find returns a function. The caller holds s.mu.
func (s *Server) find(name string) (*function, error) {
	if f, ok := s.functions[name]; ok {
		return f, nil
	}
	return nil, notFound("Function not found: %s", s.functionARN(name))
}

func (s *Server) getFunctionOp(w http.ResponseWriter, _ *http.Request, t target) error {
	s.mu.Lock()
	f, err := s.find(t.name)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	out := map[string]any{"Configuration": s.describe(f), "Code": map[string]string{"RepositoryType": "S3"}, "Tags": f.Tags}
	if f.Reserved != nil {
		out["Concurrency"] = map[string]int{"ReservedConcurrentExecutions": *f.Reserved}
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *Server) getConfiguration(w http.ResponseWriter, _ *http.Request, t target) error {
	s.mu.Lock()
	f, err := s.find(t.name)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	out := s.describe(f)
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (s *Server) deleteFunction(w http.ResponseWriter, _ *http.Request, t target) error {
	s.mu.Lock()
	f, err := s.find(t.name)
	if err == nil {
		err = s.store.dropFunction(f.Name)
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	delete(s.functions, f.Name)
	s.removeUnused(f.Code)
	pool := f.pool
	s.mu.Unlock()
	if pool != nil {
		pool.close()
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
