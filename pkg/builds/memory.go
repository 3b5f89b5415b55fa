package builds

import (
	"container/list"
	"sync"
)

// memory is a map of at most max entries; put drops the least recently used
// one. It is safe for concurrent use.
type memory[K comparable, V any] struct {
	max int

	mu      sync.Mutex
	entries map[K]*list.Element
	recent  *list.List // of *entry[K, V], the most recently used in front
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newMemory[K comparable, V any](max int) *memory[K, V] {
	return &memory[K, V]{max: max, entries: make(map[K]*list.Element), recent: list.New()}
}

func (m *memory[K, V]) get(k K) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[k]
	if !ok {
		return v, false
	}
	m.recent.MoveToFront(e)
	return e.Value.(*entry[K, V]).value, true
}

func (m *memory[K, V]) put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(k, v)
}

// set is put for a caller that holds mu.
func (m *memory[K, V]) set(k K, v V) {
	if e, ok := m.entries[k]; ok {
		e.Value.(*entry[K, V]).value = v
		m.recent.MoveToFront(e)
		return
	}
	m.entries[k] = m.recent.PushFront(&entry[K, V]{k, v})
	if len(m.entries) > m.max {
		last := m.recent.Back()
		m.recent.Remove(last)
		delete(m.entries, last.Value.(*entry[K, V]).key)
	}
}

// change replaces the value of k, which is zero if there is none, and returns the
// new one.
func (m *memory[K, V]) change(k K, with func(V) V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	var v V
	if e, ok := m.entries[k]; ok {
		v = e.Value.(*entry[K, V]).value
	}
	v = with(v)
	m.set(k, v)
	return v
}

func (m *memory[K, V]) drop(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[k]; ok {
		m.recent.Remove(e)
		delete(m.entries, k)
	}
}

// count counts the entries of which is is true.
func (m *memory[K, V]) count(is func(V) bool) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		if is(e.Value.(*entry[K, V]).value) {
			n++
		}
	}
	return n
}
