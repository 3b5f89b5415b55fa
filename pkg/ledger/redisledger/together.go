package redisledger

import (
	"context"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Together makes the calls in one script, or in several of inOneScript calls.
// The calls of a script that fails all have its error.
func (l *Ledger) Together(ctx context.Context, cs ledger.Calls) ledger.Answers {
	answers := ledger.NewAnswers(cs)
	put := make([]func(*calls) *error, 0, cs.Len()) // each adds one call, and returns where its error belongs
	for i := range cs.Finishes {
		put = append(put, func(c *calls) *error { return c.finish(cs.Finishes[i], &answers.Finishes[i]) })
	}
	for i := range cs.Published {
		put = append(put, func(c *calls) *error { c.published(cs.Published[i]); return &answers.Published[i] })
	}
	for i := range cs.Claims {
		put = append(put, func(c *calls) *error { c.claim(cs.Claims[i], &answers.Claims[i]); return &answers.ClaimErrs[i] })
	}
	for i := range cs.Invoking {
		put = append(put, func(c *calls) *error { return c.invoking(cs.Invoking[i], &answers.Invoking[i]) })
	}
	for from := 0; from < len(put); from += inOneScript {
		part := put[from:min(from+inOneScript, len(put))]
		c, errs := l.calls(len(part), cs.ClaimTTL), make([]*error, len(part))
		for i, p := range part {
			errs[i] = p(c)
		}
		if err := c.run(ctx); err != nil {
			for _, e := range errs {
				*e = fmt.Errorf("call the ledger for %d runs: %w", len(part), err)
			}
		}
	}
	return answers
}

func (c *calls) finish(f ledger.Finish, lost *error) *error {
	c.call("finish", f.Hold.Entry.Key, into(lost, lostOf))
	c.hold(f.Hold)
	c.add(string(f.Status), f.Result, summary(f.Summary))
	return lost
}

func (c *calls) published(k run.Key) {
	c.call("published", k, ignore)
	c.add(string(k))
}

func (c *calls) claim(claim ledger.Claim, a *ledger.Answer) {
	c.call("claim", claim.Entry.Key, func(answer any) (err error) {
		*a, err = answerOf(claim, answer)
		return err
	})
	c.entry(claim.Entry)
	c.add(line(claim.Owner), flag(claim.Begin))
}

func (c *calls) invoking(h ledger.Hold, lost *error) *error {
	c.call("invoking", h.Entry.Key, into(lost, lostOf))
	c.hold(h)
	return lost
}
