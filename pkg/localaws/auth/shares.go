package auth

import (
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
)

// Shares bounds what the keys that scripts can have take of the stack at a time,
// each of them and all together, so that one script leaves the rest to others.
// What the fleet itself takes is not bounded: see Identity.Fleet.
type Shares struct {
	each, all int64

	mu    sync.Mutex
	taken map[string]int64 // by access key
	sum   int64
}

// NewShares lets a key take each, and all keys together all.
func NewShares(each, all int64) *Shares {
	return &Shares{each: each, all: all, taken: map[string]int64{}}
}

// Take reports false, and takes nothing, where the key's share or the sum would
// be exceeded.
func (s *Shares) Take(key string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key]+n > s.each || s.sum+n > s.all {
		return false
	}
	s.taken[key] += n
	s.sum += n
	return true
}

// Give gives back what was taken.
func (s *Shares) Give(key string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum -= n
	if s.taken[key] -= n; s.taken[key] == 0 {
		delete(s.taken, key)
	}
}

// Bytes of bodies that are held at a time. One body of the largest size fits.
const (
	bodiesOfAKey = 128 << 20
	bodiesOfAll  = 512 << 20
)

var errBusy = errors.New("the key has too many bodies under way")

// countedBody takes the bytes of a request's body from its key's share as they
// are read, and gives them back once the request is answered.
type countedBody struct {
	io.ReadCloser
	shares *Shares // nil for the fleet's own
	key    string
	read   int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.shares == nil {
		return n, err
	}
	if !b.shares.Take(b.key, int64(n)) {
		return 0, errBusy
	}
	b.read += int64(n)
	return n, err
}

func (b *countedBody) giveBack() {
	if b.shares != nil {
		b.shares.Give(b.key, b.read)
	}
}

// Set replaces what a key has taken.
func (s *Shares) Set(key string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum += n - s.taken[key]
	s.taken[key] = n
	if n == 0 {
		delete(s.taken, key)
	}
}

// Keys are the keys that have taken something.
func (s *Shares) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.taken))
}
