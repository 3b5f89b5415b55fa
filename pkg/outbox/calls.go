package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// calls are the calls of the ledger by many runs. Calls of all kinds that come
// at about the same time share a round trip.
//
// Runs wait for claims, begins and finishes, so these linger only if company is
// expected (see package batch). No run waits for a note: notes go along with the
// next other calls, and by themselves after noteWithin.
type calls struct {
	ledger   Ledger
	claimTTL time.Duration
	urgent   *batch.Batcher[call, ledger.Answer]

	mu     sync.Mutex
	notes  []note
	waking bool // a timer will send the notes
}

// call is one of a claim, a begin or a finish. An empty call only takes notes
// along.
type call struct {
	claim  *ledger.Claim
	begin  *ledger.Hold
	finish *ledger.Finish
}

// note is a call of Published.
type note struct {
	key    run.Key
	weight int
	answer chan error
}

const (
	// noteWithin is how long a note waits for other calls.
	noteWithin = 200 * time.Millisecond
	// ledgerTimeout bounds one call of the ledger for a batch of runs.
	ledgerTimeout = 5 * time.Second
	// maxCalls and maxWeight bound a batch of calls, and the notes beside it: their
	// number, and the bytes of their results.
	maxCalls  = 100
	maxWeight = 4 << 20
)

// errNoAnswer is the error of notes whose flush has panicked.
var errNoAnswer = errors.New("outbox: the ledger's answer is missing")

func newCalls(l Ledger, claimTTL, linger time.Duration, guard panics.Guard) *calls {
	c := &calls{ledger: l, claimTTL: claimTTL}
	// They linger a bit longer than other steps, since a run makes two calls: by
	// default company is expected from 333 calls a second on.
	linger = linger * 6 / 5
	c.urgent = batch.New(batch.Config[call]{
		Max: maxCalls, MaxWeight: maxWeight, Weight: call.weight, Concurrency: 2,
		Linger: linger, ByRate: true, Guard: guard,
	}, c.flush)
	return c
}

func (c call) weight() int {
	if c.finish == nil {
		return 0
	}
	return len(c.finish.Result)
}

// do makes one call, and returns its answer once it is there.
func (c *calls) do(ctx context.Context, one call) (ledger.Answer, error) {
	return c.urgent.Do(ctx, one)
}

// note notes that a result of that many bytes is published, and waits until the
// ledger has it.
func (c *calls) note(key run.Key, weight int) error {
	n := note{key: key, weight: weight, answer: make(chan error, 1)}
	c.mu.Lock()
	c.notes = append(c.notes, n)
	c.wake()
	c.mu.Unlock()
	return <-n.answer
}

// wake has the notes sent after noteWithin. The caller holds mu.
func (c *calls) wake() {
	if c.waking {
		return
	}
	c.waking = true
	time.AfterFunc(noteWithin, func() {
		c.mu.Lock()
		c.waking = false
		some := len(c.notes) > 0
		if some {
			c.wake()
		}
		c.mu.Unlock()
		if some {
			_, _ = c.urgent.Do(context.Background(), call{})
		}
	})
}

// takeNotes takes the notes that go along with a batch.
func (c *calls) takeNotes() []note {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, weight := 0, 0
	for n < min(len(c.notes), maxCalls) && (n == 0 || weight+c.notes[n].weight <= maxWeight) {
		weight += c.notes[n].weight
		n++
	}
	taken := c.notes[:n:n]
	c.notes = c.notes[n:]
	return taken
}

// flush makes the calls of a batch, and notes, in one call of the ledger.
func (c *calls) flush(ctx context.Context, batch []call) ([]ledger.Answer, []error) {
	notes := c.takeNotes()
	var noted []error
	defer func() {
		for i, n := range notes {
			if i < len(noted) {
				n.answer <- noted[i]
			} else {
				n.answer <- errNoAnswer
			}
		}
	}()
	all := ledger.Calls{ClaimTTL: c.claimTTL}
	for _, n := range notes {
		all.Published = append(all.Published, n.key)
	}
	for _, one := range batch {
		switch {
		case one.claim != nil:
			all.Claims = append(all.Claims, *one.claim)
		case one.begin != nil:
			all.Invoking = append(all.Invoking, *one.begin)
		case one.finish != nil:
			all.Finishes = append(all.Finishes, *one.finish)
		}
	}
	answers, errs := make([]ledger.Answer, len(batch)), make([]error, len(batch))
	if all.Len() == 0 {
		return answers, errs
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	got := c.ledger.Together(ctx, all)
	noted = got.Published
	claims, begins, finishes := 0, 0, 0
	for i, one := range batch {
		switch {
		case one.claim != nil:
			answers[i], errs[i] = got.Claims[claims], got.ClaimErrs[claims]
			claims++
		case one.begin != nil:
			errs[i] = got.Invoking[begins]
			begins++
		case one.finish != nil:
			errs[i] = got.Finishes[finishes]
			finishes++
		}
	}
	return answers, errs
}
