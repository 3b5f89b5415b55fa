package registry

import (
	"container/list"
	"sync"
)

// kept holds what was used last, up to a size.
type kept[K comparable, V any] struct {
	max int

	mu   sync.Mutex
	size int
	by   map[K]*list.Element
	used list.List // of *keep; used last first
}

type keep[K comparable, V any] struct {
	key   K
	value V
	size  int
}

func newKept[K comparable, V any](max int) *kept[K, V] {
	return &kept[K, V]{max: max, by: map[K]*list.Element{}}
}

func (k *kept[K, V]) get(key K) (v V, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.by[key]
	if !ok {
		return v, false
	}
	k.used.MoveToFront(at)
	return at.Value.(*keep[K, V]).value, true
}

func (k *kept[K, V]) put(key K, v V, size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(k.by[key])
	k.by[key] = k.used.PushFront(&keep[K, V]{key, v, size})
	k.size += size
	for k.size > k.max {
		k.drop(k.used.Back())
	}
}

func (k *kept[K, V]) forget(key K) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(k.by[key])
}

func (k *kept[K, V]) drop(at *list.Element) {
	if at == nil {
		return
	}
	gone := k.used.Remove(at).(*keep[K, V])
	delete(k.by, gone.key)
	k.size -= gone.size
}
