package shape

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Every is how often a process announces itself on the board, TTL how long each
// announcement lasts.
const (
	Every = 5 * time.Second
	TTL   = 3 * Every
)

// Watch announces a process while it runs, and compares it with the others.
type Watch struct {
	process Process
	ready   func() error
	board   Board
	log     *zap.Logger

	mu      sync.Mutex
	differs []string
	turns   int
}

// New returns a Watch of p.
func New(p Process, board Board, log *zap.Logger) *Watch {
	return &Watch{process: p, board: board, log: log, ready: func() error { return nil }}
}

// Tell has the board tell what ready returns: why the process takes no work, or
// nil. It must be called before Run.
func (w *Watch) Tell(ready func() error) { w.ready = ready }

// Run watches until ctx ends, then takes the process off the board.
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

// Ready returns nil while the process fits the others, else the differences.
// While Redis is out of reach, it returns the last answer.
func (w *Watch) Ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []error
	for _, text := range w.differs {
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// Turns returns how many runs the workers on the board can execute at a time; 0
// if that is not known. While Redis is out of reach, it returns the last answer.
func (w *Watch) Turns() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.turns
}

func (w *Watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, Every)
	defer cancel()
	p := w.process
	if err := errors.Join(w.ready(), w.Ready()); err != nil {
		p.NotReady = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	all, err := w.board.Announce(ctx, p, TTL)
	if err != nil {
		w.log.Debug("cannot announce this process's settings to the fleet; trying again", zap.Error(err))
		return
	}
	var differs []string
	for _, d := range Differences(w.process, all) {
		if !d.Passing {
			differs = append(differs, d.Text)
		}
	}
	slices.Sort(differs)
	turns := 0
	for _, p := range all {
		turns += p.Turns
	}
	w.mu.Lock()
	before := w.differs
	w.differs, w.turns = differs, turns
	w.mu.Unlock()
	w.tell(before, differs)
}

// tell logs each new difference once, and logs when the last one has ended.
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

// leave takes the process off the board, so that it is not compared with a
// process that is started in its place with other settings.
func (w *Watch) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.board.Leave(ctx, w.process); err != nil {
		w.log.Debug("cannot take this process off the board; its entry expires by itself", zap.Error(err))
	}
}
