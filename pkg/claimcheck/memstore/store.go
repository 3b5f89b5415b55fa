// Package memstore keeps claim-checked bodies in memory, for tests and
// simulations.
package memstore

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
)

// Store is a claimcheck.Store in memory.
type Store struct {
	// Fault, if set, is called before each operation, "put" or "get", which
	// fails with its error.
	Fault func(op, key string) error

	bucket  string
	mu      sync.Mutex
	objects map[string][]byte
}

var _ claimcheck.Store = (*Store)(nil)

// New returns an empty store.
func New(bucket string) *Store {
	return &Store{bucket: bucket, objects: map[string][]byte{}}
}

// Bucket returns the name that New was given.
func (s *Store) Bucket() string { return s.bucket }

// Put stores a copy of body.
func (s *Store) Put(ctx context.Context, key string, body []byte) error {
	if err := s.fault(ctx, "put", key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = bytes.Clone(body)
	return nil
}

// Get returns a copy of an object of at most limit bytes.
func (s *Store) Get(ctx context.Context, key string, limit int) ([]byte, error) {
	if err := s.fault(ctx, "get", key); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	body, ok := s.objects[key]
	if !ok {
		return nil, fmt.Errorf("get %s: %w", key, claimcheck.ErrNoObject)
	}
	if len(body) > limit {
		return nil, fmt.Errorf("get %s: %w", key, claimcheck.ErrTooLarge)
	}
	return bytes.Clone(body), nil
}

// Lose removes an object, like a lifecycle rule.
func (s *Store) Lose(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
}

// Keys lists the keys of all objects, in no order.
func (s *Store) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for key := range s.objects {
		keys = append(keys, key)
	}
	return keys
}

func (s *Store) fault(ctx context.Context, op, key string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.Fault == nil {
		return nil
	}
	return s.Fault(op, key)
}
