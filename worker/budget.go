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

func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
