package ledger

import (
	"context"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Caller has the methods whose calls Together combines.
type Caller interface {
	Finish(ctx context.Context, fs []Finish) ([]error, error)
	Published(ctx context.Context, keys []run.Key) error
	Claim(ctx context.Context, cs []Claim, ttl time.Duration) ([]Answer, error)
	Invoking(ctx context.Context, hs []Hold) ([]error, error)
}

// Apart does what Together does by calls of the single methods, one after the
// other. It serves ledgers without round trips.
func Apart(ctx context.Context, l Caller, cs Calls) Answers {
	a := NewAnswers(cs)
	if len(cs.Finishes) > 0 {
		errs, err := l.Finish(ctx, cs.Finishes)
		spread(a.Finishes, errs, err)
	}
	if len(cs.Published) > 0 {
		spread(a.Published, nil, l.Published(ctx, cs.Published))
	}
	if len(cs.Claims) > 0 {
		answers, err := l.Claim(ctx, cs.Claims, cs.ClaimTTL)
		copy(a.Claims, answers)
		spread(a.ClaimErrs, nil, err)
	}
	if len(cs.Invoking) > 0 {
		errs, err := l.Invoking(ctx, cs.Invoking)
		spread(a.Invoking, errs, err)
	}
	return a
}

// spread sets the error of each call: its own, or that of all.
func spread(to, errs []error, err error) {
	copy(to, errs)
	for i := range to {
		if err != nil {
			to[i] = err
		}
	}
}
