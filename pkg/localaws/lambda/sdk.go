package lambda

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

// sdks are folders with boto3, which every function on Lambda can import. Such
// a folder is made when a function whose code names boto3 is prepared, so other
// functions do not wait for it. It is last on the path: the function's own
// layers take precedence.
type sdks struct {
	flights singleflight.Group
	mu      sync.Mutex
	made    map[string]sdk // by runtime
}

type sdk struct {
	dir   string // empty if it could not be made
	until time.Time
}

// sdkAgain is how long a failure is kept: on a machine without a network a
// function waits for the attempt once a minute.
const sdkAgain = time.Minute

// sdk returns the folder of boto3 for a program, or "" if the program does not
// need it or it could not be made.
func (s *Server) sdk(p *program) string {
	if s.deps.SDK == nil || p.runtime == custom || !namesSDK(p.code) { // Lambda has boto3 in its own runtimes only
		return ""
	}
	if _, err := os.Stat(filepath.Join(p.layers, "python", "boto3")); p.layers != "" && err == nil {
		return ""
	}
	dir, _, _ := s.sdks.flights.Do(p.runtime, func() (any, error) { return s.makeSDK(p.runtime), nil })
	return dir.(string)
}

func (s *Server) makeSDK(runtime string) string {
	s.sdks.mu.Lock()
	have, ok := s.sdks.made[runtime]
	s.sdks.mu.Unlock()
	if ok && (have.dir != "" || time.Now().Before(have.until)) {
		return have.dir
	}
	dir, err := s.unpackSDK(s.life, runtime)
	if err != nil {
		s.log.Error("boto3, which scripts find on Lambda, cannot be installed here: those that import it fail unless their requirements name it",
			zap.String("runtime", runtime), zap.Error(err))
	}
	s.sdks.mu.Lock()
	defer s.sdks.mu.Unlock()
	s.sdks.made[runtime] = sdk{dir: dir, until: time.Now().Add(sdkAgain)}
	return dir
}

func (s *Server) unpackSDK(ctx context.Context, runtime string) (string, error) {
	data, err := s.deps.SDK(ctx, runtime)
	if err != nil {
		return "", err
	}
	b := blobOf(data)
	if err := s.files.keep(&b, data); err != nil {
		return "", fmt.Errorf("keep boto3: %w", err)
	}
	return s.files.merged(b)
}

// namesSDK tells whether a Python file of a function's code names boto3 or one
// of its own dependencies.
func namesSDK(code string) bool {
	files, _ := filepath.Glob(filepath.Join(code, "*.py"))
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && (bytes.Contains(text, []byte("boto3")) || bytes.Contains(text, []byte("botocore"))) {
			return true
		}
	}
	return false
}
