// Package batch makes one call of many: callers each hand in one entry and wait
// for its answer; what came in while a flush was under way goes together in the
// next. A call that finds none under way goes at once, so an idle batcher adds
// no latency, and load makes the batches by itself.
//
// What holds:
//
//   - Entries go in the order in which they came, each exactly once, unless its
//     caller had stopped waiting before its batch was made up.
//   - At most Config.Concurrency flushes are under way.
//   - An entry gets its own answer or its own error. A flush that panics or that
//     answers for fewer entries than it was given fails the entries of that
//     batch and nothing else.
//   - No goroutine lives while nothing is under way.
//
// One mutex guards the line of waiting entries; it is held to append or to cut
// off a batch, never across a flush. There is no channel of entries and no loop
// that reads one: such a loop would be a goroutine per batcher for ever, and a
// channel's capacity a second bound that nobody chose. Each entry has a channel
// of capacity one for its answer, so that a flush never waits for a caller that
// has gone.
package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// ErrNoAnswer is what an entry fails with when its flush did not answer for
// every entry: it panicked (the error then wraps the *panics.Error, too), ended
// its goroutine, or returned too short a slice. Whether the entry took effect is
// unknown.
var ErrNoAnswer = errors.New("batch: the flush gave no answer")

// Config bounds what goes together.
type Config[In any] struct {
	Max         int          // entries of a flush; 0 for no bound
	MaxWeight   int          // sum of Weight over a flush; 0 for no bound. A heavier entry goes alone
	Weight      func(In) int // needed where MaxWeight is set
	Concurrency int          // flushes under way at once; 0 means 1. More of them make smaller batches
	Guard       panics.Guard // is told of each flush that panics, once
}

// Flush makes the one call. It gets at least one entry, in the order in which
// they came, and answers for each: outs and errs have one place for each entry.
// Either may be nil, not both: nil errs mean that all went well, nil outs that
// there is nothing to say but the errors. The context belongs to no caller and
// never ends; a flush that can hang sets its own deadline.
type Flush[In, Out any] func(ctx context.Context, ins []In) (outs []Out, errs []error)

// Batcher is safe for concurrent use.
type Batcher[In, Out any] struct {
	cfg   Config[In]
	flush Flush[In, Out]

	mu      sync.Mutex
	line    []*entry[In, Out] // waiting to go, oldest first
	flushes int               // under way
}

type entry[In, Out any] struct {
	in     In
	weight int
	gone   atomic.Bool // its caller waits no longer
	answer chan answer[Out]
}

type answer[Out any] struct {
	out Out
	err error
}

// New makes a batcher over flush.
func New[In, Out any](cfg Config[In], flush Flush[In, Out]) *Batcher[In, Out] {
	if cfg.Concurrency < 1 {
		cfg.Concurrency = 1
	}
	return &Batcher[In, Out]{cfg: cfg, flush: flush}
}

// Do hands in one entry and waits for its answer. When ctx ends first, Do
// returns its cause; the entry may still go, and its answer is dropped.
func (b *Batcher[In, Out]) Do(ctx context.Context, in In) (Out, error) {
	var none Out
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	e := &entry[In, Out]{in: in, answer: make(chan answer[Out], 1)}
	b.join(e)
	select {
	case a := <-e.answer:
		return a.out, a.err
	case <-ctx.Done():
		e.gone.Store(true)
		return none, context.Cause(ctx)
	}
}

// join puts e in line and sees to it that a flush will take it.
func (b *Batcher[In, Out]) join(e *entry[In, Out]) {
	if b.cfg.MaxWeight > 0 {
		e.weight = b.cfg.Weight(e.in)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.line = append(b.line, e)
	b.start()
}

// start begins a flush if entries wait for one and another may be under way.
// b.mu is held.
func (b *Batcher[In, Out]) start() {
	if len(b.line) == 0 || b.flushes == b.cfg.Concurrency {
		return
	}
	b.flushes++
	go b.run()
}

// run is the life of one flush. It makes up its batch only now, so that calls
// made while its goroutine was being scheduled go with it.
func (b *Batcher[In, Out]) run() {
	defer b.end()
	if batch := b.take(); len(batch) > 0 {
		b.call(batch)
	}
}

// end makes room for the next flush; it runs even if this one ended its
// goroutine.
func (b *Batcher[In, Out]) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flushes--
	b.start()
}

// take cuts the next batch off the line, leaving out entries that nobody waits
// for any more.
func (b *Batcher[In, Out]) take() []*entry[In, Out] {
	b.mu.Lock()
	defer b.mu.Unlock()
	var batch []*entry[In, Out]
	weight, n := 0, 0
	for ; n < len(b.line); n++ {
		e := b.line[n]
		if e.gone.Load() {
			continue
		}
		if b.cfg.Max > 0 && len(batch) == b.cfg.Max ||
			b.cfg.MaxWeight > 0 && len(batch) > 0 && weight+e.weight > b.cfg.MaxWeight {
			break
		}
		batch = append(batch, e)
		weight += e.weight
	}
	clear(b.line[:n])
	b.line = b.line[n:]
	b.start() // for what is left, if more flushes may be under way
	return batch
}

// call flushes the batch and hands out the answers, whatever the flush does.
func (b *Batcher[In, Out]) call(batch []*entry[In, Out]) {
	ins := make([]In, len(batch))
	for i, e := range batch {
		ins[i] = e.in
	}
	var outs []Out
	var errs []error
	failure := fmt.Errorf("%w: it ended its goroutine", ErrNoAnswer)
	defer func() {
		for i, e := range batch {
			e.answer <- answerOf(i, outs, errs, failure)
		}
	}()
	if p := b.cfg.Guard.Catch(func() { outs, errs = b.flush(context.Background(), ins) }, nil); p != nil {
		failure = fmt.Errorf("%w: %w", ErrNoAnswer, p)
		return
	}
	failure = check(len(batch), outs, errs)
}

// check says whether a flush answered for n entries.
func check[Out any](n int, outs []Out, errs []error) error {
	if outs == nil && errs == nil || outs != nil && len(outs) != n || errs != nil && len(errs) != n {
		return fmt.Errorf("%w: %d outs and %d errors for %d entries", ErrNoAnswer, len(outs), len(errs), n)
	}
	return nil
}

func answerOf[Out any](i int, outs []Out, errs []error, failure error) (a answer[Out]) {
	if failure != nil {
		a.err = failure
		return a
	}
	if outs != nil {
		a.out = outs[i]
	}
	if errs != nil {
		a.err = errs[i]
	}
	return a
}
