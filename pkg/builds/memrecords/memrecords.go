// Package memrecords keeps the records of builds in the memory of one process,
// for tests and simulations. It uses the clock of package time, so it follows
// the fake clock of testing/synctest.
package memrecords

import (
	"context"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
)

// Records implements builds.Records.
type Records struct {
	mu       sync.Mutex
	records  map[string]record
	watchers map[string]map[chan struct{}]struct{}
}

type record struct {
	builds.Record
	ends time.Time // zero: never
}

// New returns Records that hold no record.
func New() *Records {
	return &Records{records: make(map[string]record), watchers: make(map[string]map[chan struct{}]struct{})}
}

// Get implements builds.Records.
func (m *Records) Get(ctx context.Context, hash string) (builds.Record, bool, error) {
	if err := ctx.Err(); err != nil {
		return builds.Record{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.get(hash)
	return r, ok, nil
}

// GetAll implements builds.Records.
func (m *Records) GetAll(ctx context.Context, hashes []string) ([]*builds.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*builds.Record, len(hashes))
	for i, hash := range hashes {
		if r, ok := m.get(hash); ok {
			all[i] = &r
		}
	}
	return all, nil
}

func (m *Records) get(hash string) (builds.Record, bool) {
	r, ok := m.records[hash]
	if !ok || !r.ends.IsZero() && !time.Now().Before(r.ends) {
		return builds.Record{}, false
	}
	return r.Record, true
}

// Put implements builds.Records.
func (m *Records) Put(ctx context.Context, hash string, r builds.Record, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if there, ok := m.get(hash); ok && there.Fence > r.Fence {
		return builds.ErrStale
	}
	put := record{Record: r}
	if ttl > 0 {
		put.ends = time.Now().Add(ttl)
	}
	m.records[hash] = put
	m.signal(hash)
	return nil
}

// Drop implements builds.Records.
func (m *Records) Drop(ctx context.Context, hash string, fence int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if there, ok := m.get(hash); !ok || there.Fence <= fence {
		delete(m.records, hash)
	}
	m.signal(hash)
	return nil
}

// Watch implements builds.Records.
func (m *Records) Watch(ctx context.Context, hash string) (<-chan struct{}, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := make(chan struct{}, 1)
	if m.watchers[hash] == nil {
		m.watchers[hash] = make(map[chan struct{}]struct{})
	}
	m.watchers[hash][c] = struct{}{}
	return c, func() { m.unwatch(hash, c) }, nil
}

func (m *Records) unwatch(hash string, c chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers[hash], c)
	if len(m.watchers[hash]) == 0 {
		delete(m.watchers, hash)
	}
}

func (m *Records) signal(hash string) {
	for c := range m.watchers[hash] {
		select {
		case c <- struct{}{}:
		default: // a signal is pending already
		}
	}
}

// Flush removes all records and signals no watcher, like Redis' FLUSHALL.
func (m *Records) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.records)
}
