package worker

import (
	"context"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// ledgerTimeout bounds one round trip for a batch of runs.
const ledgerTimeout = 5 * time.Second

func (w *Worker) flushClaims(ctx context.Context, cs []ledger.Claim) ([]ledger.Answer, []error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	answers, err := w.deps.Ledger.Claim(ctx, cs, w.cfg.ClaimTTL)
	return answers, same(err, len(cs))
}

func (w *Worker) flushFinishes(ctx context.Context, fs []ledger.Finish) ([]struct{}, []error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	errs, err := w.deps.Ledger.Finish(ctx, fs)
	if err != nil {
		return nil, same(err, len(fs))
	}
	return nil, errs
}

func (w *Worker) flushPublished(ctx context.Context, keys []run.Key) ([]struct{}, []error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	return nil, same(w.deps.Ledger.Published(ctx, keys), len(keys))
}

func (w *Worker) flushSlots(ctx context.Context, asks []slot.Ask) ([]bool, []error) {
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	taken, err := w.deps.Slots.Take(ctx, asks, slotTTL)
	return taken, same(err, len(asks))
}

// same is one error for each of n entries.
func same(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
