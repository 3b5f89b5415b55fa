package sqs

// heap is a binary heap whose elements store their position, so that any
// element can be removed or moved in O(log n).
type heap[T comparable] struct {
	list []T
	less func(a, b T) bool
	at   func(T) *int // where the element stores its position; -1: not in the heap
}

func newHeap[T comparable](less func(a, b T) bool, at func(T) *int) heap[T] {
	return heap[T]{less: less, at: at}
}

// min is the first element, or the zero value of an empty heap.
func (h *heap[T]) min() (first T) {
	if len(h.list) > 0 {
		first = h.list[0]
	}
	return first
}

func (h *heap[T]) push(e T) {
	*h.at(e) = len(h.list)
	h.list = append(h.list, e)
	h.up(len(h.list) - 1)
}

// remove removes the element if it is in the heap.
func (h *heap[T]) remove(e T) {
	i := *h.at(e)
	if i < 0 {
		return
	}
	last := len(h.list) - 1
	h.swap(i, last)
	var none T
	h.list[last] = none
	h.list = h.list[:last]
	*h.at(e) = -1
	if i < last {
		h.fix(h.list[i])
	}
}

// fix moves the element after its key has changed.
func (h *heap[T]) fix(e T) {
	i := *h.at(e)
	if !h.down(i) {
		h.up(i)
	}
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(h.list[i], h.list[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) (moved bool) {
	for {
		child := 2*i + 1
		if child >= len(h.list) {
			return moved
		}
		if right := child + 1; right < len(h.list) && h.less(h.list[right], h.list[child]) {
			child = right
		}
		if !h.less(h.list[child], h.list[i]) {
			return moved
		}
		h.swap(i, child)
		i, moved = child, true
	}
}

func (h *heap[T]) swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	*h.at(h.list[i]), *h.at(h.list[j]) = i, j
}
