package chaos

import "sync"

type rows struct {
	mu  sync.Mutex
	all map[string][]string
}

var table = &rows{all: map[string][]string{}}

func (r *rows) set(name string, cells []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[name] = cells
}
