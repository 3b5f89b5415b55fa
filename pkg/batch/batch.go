// Package batch combines the calls of many goroutines. Each caller passes one
// entry and waits for its answer. Entries that arrive while a flush is under
// way go together in the next one. If none is under way, an entry is flushed at
// once, so an idle batcher adds no latency, and batches grow with the load.
// Config.Linger delays entries so that more of them go together.
//
// The rules:
//
//   - Entries are flushed in the order of their arrival, each exactly once. An
//     entry whose caller stopped waiting before its batch was formed is
//     dropped.
//   - At most Config.Concurrency flushes are under way.
//   - Each entry gets its own answer or error. If a flush panics, or answers
//     for too few entries, only the entries of its batch fail.
//   - A batcher has a goroutine only while a flush is under way.
//
// One mutex guards the line of waiting entries. It is held to append an entry
// or to cut off a batch, never during a flush. A channel of entries is not
// used: its reader would be a goroutine for the whole life of each batcher, and
// its capacity would be a second bound. Each entry has a channel of capacity
// one for its answer, so a flush does not block if the caller has stopped
// waiting.
package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// ErrNoAnswer is the error of the entries of a flush that panicked (it then
// wraps the *panics.Error too), ended its goroutine, or returned slices of a
// wrong length. The entry may have taken effect.
var ErrNoAnswer = errors.New("batch: the flush gave no answer")

// Config bounds the batches.
type Config[In any] struct {
	Max         int          // entries of a flush; 0 for no bound
	MaxWeight   int          // sum of Weight over a flush; 0 for no bound. A heavier entry is flushed alone
	Weight      func(In) int // required if MaxWeight is set
	Concurrency int          // flushes under way at once; 0 means 1. More flushes make smaller batches
	Guard       panics.Guard // reports each flush that panics, once

	// Linger is how long an entry waits for others if fewer than Max are waiting.
	// With ByRate it waits only if at least two more are expected within Linger,
	// by the mean time between the latest entries. A single entry is then flushed
	// at once.
	Linger time.Duration
	ByRate bool

	// Behind is how long an entry waits, if fewer than Max are waiting, for a
	// flush that is under way to end. It then goes together with those that come
	// meanwhile.
	Behind time.Duration
}

// OnTheWay is the Linger, with ByRate, of entries that a run waits for, unless
// the operator sets another.
const OnTheWay = 5 * time.Millisecond

// Flush is the combined call. It gets at least one entry, in the order of
// arrival, and returns one out and one err for each. Either slice may be nil,
// but not both: nil errs mean that all entries succeeded, nil outs that there
// are no values. Its context never ends, so a flush that may hang must set a
// deadline.
type Flush[In, Out any] func(ctx context.Context, ins []In) (outs []Out, errs []error)

// Batcher is safe for concurrent use.
type Batcher[In, Out any] struct {
	cfg   Config[In]
	flush Flush[In, Out]

	mu      sync.Mutex
	line    []*entry[In, Out] // waiting to go, oldest first
	flushes int               // under way
	forming int               // of these, those that have not formed their batch
	pace    pace
	waking  bool // a timer will call start
}

type entry[In, Out any] struct {
	in     In
	weight int
	came   time.Time   // set if Linger is
	gone   atomic.Bool // set when its caller stops waiting
	answer chan answer[Out]
}

type answer[Out any] struct {
	out Out
	err error
}

// New returns a batcher that calls flush.
func New[In, Out any](cfg Config[In], flush Flush[In, Out]) *Batcher[In, Out] {
	if cfg.Concurrency < 1 {
		cfg.Concurrency = 1
	}
	return &Batcher[In, Out]{cfg: cfg, flush: flush}
}

// Do adds one entry and waits for its answer. If ctx ends first, Do returns its
// cause; the entry may still be flushed, and its answer is dropped.
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

// join puts e in line, and starts a flush if another may be under way.
func (b *Batcher[In, Out]) join(e *entry[In, Out]) {
	if b.cfg.MaxWeight > 0 {
		e.weight = b.cfg.Weight(e.in)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Linger > 0 {
		e.came = time.Now()
		b.pace.entry(e.came, b.cfg.Linger)
	}
	b.line = append(b.line, e)
	b.start()
}

// start begins a flush if entries wait for one and another may be under way.
// b.mu is held.
func (b *Batcher[In, Out]) start() {
	rest := b.rest()
	if len(rest) == 0 || b.flushes == b.cfg.Concurrency {
		return
	}
	if left := b.lingers(rest); left > 0 {
		b.wakeIn(left)
		return
	}
	b.flushes++
	b.forming++
	go b.run()
}

// rest is the line without what the flushes that form their batches will take.
// b.mu is held.
func (b *Batcher[In, Out]) rest() []*entry[In, Out] {
	switch taken := b.forming * b.cfg.Max; {
	case b.forming == 0:
		return b.line
	case b.cfg.Max == 0 || taken >= len(b.line):
		return nil
	default:
		return b.line[taken:]
	}
}

// lingers returns how much longer the rest of the line waits for more entries.
// b.mu is held.
func (b *Batcher[In, Out]) lingers(rest []*entry[In, Out]) time.Duration {
	full := b.cfg.Max > 0 && len(rest) >= b.cfg.Max
	if b.cfg.Linger == 0 || full {
		return 0
	}
	linger := b.cfg.Linger
	if b.cfg.ByRate && 2*b.pace.gap > b.cfg.Linger {
		linger = 0 // no others are expected
	}
	if b.flushes > 0 {
		linger = max(linger, b.cfg.Behind)
	}
	if linger == 0 {
		return 0
	}
	return linger - time.Since(rest[0].came)
}

// wakeIn calls start again after that time. b.mu is held.
func (b *Batcher[In, Out]) wakeIn(left time.Duration) {
	if b.waking {
		return
	}
	b.waking = true
	time.AfterFunc(left, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.waking = false
		b.start()
	})
}

// pace is the mean time between two entries, as an exponential average: the
// latest gap has a weight of one quarter. A gap counts as 2 × Linger at most, so
// that a long pause is forgotten after five entries of a burst.
type pace struct {
	last time.Time
	gap  time.Duration
}

func (p *pace) entry(now time.Time, linger time.Duration) {
	gap := 2 * linger
	if !p.last.IsZero() {
		gap = min(gap, now.Sub(p.last))
	}
	if p.last.IsZero() {
		p.gap = gap
	}
	p.gap += (gap - p.gap) / 4
	p.last = now
}

// run is the goroutine of one flush. It forms its batch here and not in start,
// so that entries which arrive before the goroutine is scheduled are included.
func (b *Batcher[In, Out]) run() {
	defer b.end()
	runtime.Gosched() // lets those that were woken together join
	if batch := b.take(); len(batch) > 0 {
		b.call(batch)
	}
}

// end starts the next flush, if entries wait. It is deferred, so it runs also
// if the flush ended its goroutine.
func (b *Batcher[In, Out]) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flushes--
	b.start()
}

// take cuts the next batch off the line. It drops entries whose callers have
// stopped waiting.
func (b *Batcher[In, Out]) take() []*entry[In, Out] {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forming--
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
	b.start() // for the entries left in line
	return batch
}

// call flushes the batch and gives each entry its answer, also if the flush
// panics or ends its goroutine.
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

// check returns ErrNoAnswer unless a flush answered for n entries.
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
