package worker

import "sync"

// budget bounds how many invocations are repeated: each first one earns half a
// repeat, up to a bound. A fault that hits every run therefore costs at most
// half as many invocations again, in each worker and so in the fleet, and no
// storm.
type budget struct {
	mu   sync.Mutex
	left float64
}

const (
	earned    = 0.5
	maxBudget = 100
)

func newBudget() *budget { return &budget{left: maxBudget} }

func (b *budget) earn() {
	b.mu.Lock()
	b.left = min(maxBudget, b.left+earned)
	b.mu.Unlock()
}

// has tells whether there is a repeat left.
func (b *budget) has() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left >= 1
}

// spend draws one. Runs that were told of the last repeat at the same moment all
// spend it: what is left goes below zero, and has to be earned again.
func (b *budget) spend() {
	b.mu.Lock()
	b.left--
	b.mu.Unlock()
}
