package shape

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Every and TTL are how often a process writes itself down, and for how long.
const (
	Every = 5 * time.Second
	TTL   = 3 * Every
)

// Watch writes a process down while it runs, and tells what differs.
type Watch struct {
	process Process
	board   Board
	log     *zap.Logger

	mu      sync.Mutex
	differs []string
}

// New makes a Watch.
func New(p Process, board Board, log *zap.Logger) *Watch {
	return &Watch{process: p, board: board, log: log}
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			w.leave()
			return
		case <-tick.C:
		}
	}
}

// Ready is nil while the process fits the others. While Redis is out of reach,
// what was seen last stands.
func (w *Watch) Ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []error
	for _, text := range w.differs {
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

func (w *Watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, Every)
	defer cancel()
	all, err := w.board.Announce(ctx, w.process, TTL)
	if err != nil {
		w.log.Debug("cannot write down what this process was started with; trying again", zap.Error(err))
		return
	}
	var differs []string
	for _, d := range Differences(w.process, all) {
		if !d.Passing {
			differs = append(differs, d.Text)
		}
	}
	slices.Sort(differs)
	w.mu.Lock()
	before := w.differs
	w.differs = differs
	w.mu.Unlock()
	w.tell(before, differs)
}

// tell logs what is new, once, and that it is over.
func (w *Watch) tell(before, now []string) {
	for _, text := range now {
		if !slices.Contains(before, text) {
			w.log.Error("the fleet's processes do not fit together", zap.String("why", text))
		}
	}
	if len(before) > 0 && len(now) == 0 {
		w.log.Info("the fleet's processes fit together again")
	}
}

// leave makes room at once for a process that is started with other settings.
func (w *Watch) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.board.Leave(ctx, w.process); err != nil {
		w.log.Debug("cannot take this process off the board; it runs out by itself", zap.Error(err))
	}
}
