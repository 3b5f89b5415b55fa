package lambda

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// The states of a function.
const (
	statePending  = "Pending"
	stateActive   = "Active"
	stateInactive = "Inactive"
	stateFailed   = "Failed"
)

// function is one function, as it is kept. Everything but its state and its
// concurrency is fixed when it is created.
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

	pool *pool // nil until it is Active in this process
}

// attached is a layer version as a function uses it. It stays usable when the
// version is deleted.
type attached struct {
	ARN string
	blob
}

// maxControlBody is the most that a call of the control plane may send: a zip
// of 50 MB as base64, and the rest.
const maxControlBody = 70 << 20

func readBody(r *http.Request, limit int64, operation string) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit, operation)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, &apiError{status: 400, typ: "InvalidRequestContentException", message: "Could not read request body: " + err.Error()}
	}
	if int64(len(body)) > limit {
		return nil, tooLarge(limit, operation)
	}
	return body, nil
}

func readJSON(r *http.Request, operation string, into any) error {
	body, err := readBody(r, maxControlBody, operation)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &apiError{status: 400, typ: "InvalidRequestContentException", message: "Could not parse request body into json: " + err.Error()}
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
	// The permission is asked for again, now that the function has a name.
	if err := s.authorize(r, &operation{name: "CreateFunction"}, target{arn: f.ARN}); err != nil {
		return err
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
	s.work.Go(func() { s.prepare(f) })
	writeJSON(w, http.StatusCreated, answer)
	return nil
}

// receive takes the zip out of a call, or out of S3.
func (s *Server) receive(ctx context.Context, in codeInput) ([]byte, error) {
	data := in.ZipFile
	if data == nil && in.S3Key != "" {
		if s.deps.FetchS3 == nil {
			return nil, invalid("Code in S3 is not supported by this endpoint.")
		}
		var err error
		if data, err = s.deps.FetchS3(ctx, in.S3Bucket, in.S3Key); err != nil {
			return nil, invalid("Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: %v", err)
		}
	} else if int64(len(data)) > maxDirectZip {
		return nil, tooLarge(maxDirectZip, "CreateFunction")
	}
	if len(data) == 0 {
		return nil, invalid("Please provide a source for function code.")
	}
	return data, nil
}

// keep keeps a zip. Until unpin is called, nobody removes it who removes the
// last thing that was made from the same contents.
func (s *Server) keep(data []byte) (b blob, unpin func(), err error) {
	b = blobOf(data)
	s.mu.Lock()
	if s.storedBytes()+b.Size > s.cfg.CodeStorage {
		s.mu.Unlock()
		return b, nil, &apiError{status: 400, typ: "CodeStorageExceededException", message: "Code storage limit exceeded."}
	}
	s.pins[b.SHA]++
	s.mu.Unlock()
	unpin = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pins[b.SHA]--; s.pins[b.SHA] == 0 {
			delete(s.pins, b.SHA)
			s.removeUnused(b)
		}
	}
	if err := s.files.keep(&b, data); err != nil {
		unpin()
		return b, nil, err
	}
	return b, unpin, nil
}

// maxDirectZip is the most that goes in the call itself.
const maxDirectZip = 50 << 20

// enter attaches the layers, checks the sizes, and makes the function known.
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

// prepare takes a function from Pending to Active: its code and layers are
// unpacked. What fails to unpack makes it Failed.
func (s *Server) prepare(f *function) {
	wait := time.NewTimer(s.cfg.PendingFor)
	defer wait.Stop()
	program, err := s.programOf(f)
	select {
	case <-wait.C:
	case <-s.life.Done():
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.functions[f.Name] != f || f.State != statePending {
		return // deleted meanwhile, or set by a test
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

// programOf unpacks what a function is started from.
func (s *Server) programOf(f *function) (*program, error) {
	p := &program{
		name: f.Name, arn: f.ARN, handler: f.Handler, runtime: f.Runtime, region: s.cfg.Region, variables: f.Variables,
		memoryMB: f.MemorySize, timeoutSeconds: f.Timeout, tmpMB: f.Ephemeral, bootstrap: s.files.runtime,
	}
	var err error
	if p.interpreter, err = s.interpreterOf(f.Runtime); err != nil {
		return nil, err
	}
	if p.code, err = s.files.code(f.Code); err != nil {
		return nil, err
	}
	if len(f.Layers) > 0 {
		blobs := make([]blob, len(f.Layers))
		for n, l := range f.Layers {
			blobs[n] = l.blob
		}
		p.layers, err = s.files.merged(blobs...)
	}
	return p, err
}

// find returns a function; s.mu is held.
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

// removeUnused removes a zip from which nothing is made any more; s.mu is held.
func (s *Server) removeUnused(b blob) {
	if s.pins[b.SHA] > 0 {
		return
	}
	for _, f := range s.functions {
		if f.Code.SHA == b.SHA || slices.ContainsFunc(f.Layers, func(l attached) bool { return l.SHA == b.SHA }) {
			return
		}
	}
	for _, l := range s.layers {
		if slices.ContainsFunc(l.Versions, func(v *version) bool { return v.Content.SHA == b.SHA }) {
			return
		}
	}
	s.files.remove(b)
}

// storedBytes is what all zips take; s.mu is held.
func (s *Server) storedBytes() (n int64) {
	for _, f := range s.functions {
		n += f.Code.Size
	}
	for _, l := range s.layers {
		for _, v := range l.Versions {
			n += v.Content.Size
		}
	}
	return n
}

func (s *Server) listFunctions(w http.ResponseWriter, r *http.Request, _ target) error {
	s.mu.Lock()
	names := make([]string, 0, len(s.functions))
	for name := range s.functions {
		names = append(names, name)
	}
	slices.Sort(names)
	page, next, err := paginate(r, names, func(n string) string { return n })
	if err != nil {
		s.mu.Unlock()
		return err
	}
	out := make([]configuration, 0, len(page))
	for _, name := range page {
		out = append(out, s.describe(s.functions[name]))
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"Functions": out, "NextMarker": next})
	return nil
}

// paginate cuts a page out of a sorted list; a marker is the last key of the
// page before. next is nil on the last page.
func paginate[T any](r *http.Request, all []T, key func(T) string) (page []T, next *string, err error) {
	size := 50
	if given := r.URL.Query().Get("MaxItems"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > 10000 {
			return nil, nil, validation("maxItems", given)
		}
		size = min(n, size)
	}
	if marker := r.URL.Query().Get("Marker"); marker != "" {
		last, err := base64.RawURLEncoding.DecodeString(marker)
		if err != nil {
			return nil, nil, invalid("Invalid marker")
		}
		i := slices.IndexFunc(all, func(v T) bool { return key(v) == string(last) })
		if i < 0 {
			// What the page ended with is gone: go on behind where it was.
			i = slices.IndexFunc(all, func(v T) bool { return key(v) > string(last) }) - 1
			if i < -1 {
				i = len(all) - 1
			}
		}
		all = all[i+1:]
	}
	if len(all) <= size {
		return all, nil, nil
	}
	marker := base64.RawURLEncoding.EncodeToString([]byte(key(all[size-1])))
	return all[:size], &marker, nil
}

// base64SHA is a digest as Lambda writes it.
func (b blob) base64SHA() string {
	raw, _ := hex.DecodeString(b.SHA)
	return base64.StdEncoding.EncodeToString(raw)
}
