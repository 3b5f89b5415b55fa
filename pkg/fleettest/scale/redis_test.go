package scale

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
)

const redisTakes = time.Millisecond

// redis counts the round trips to what is in Redis, each of which takes
// redisTakes. The calls of leases and of the rate limit are few, and not counted.
type redis struct{ trips atomic.Int64 }

func (r *redis) trip(ctx context.Context) {
	r.trips.Add(1)
	await(ctx, redisTakes)
}

type nearLedger struct {
	*memledger.Ledger
	redis *redis
}

func (l nearLedger) Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error) {
	l.redis.trip(ctx)
	return l.Ledger.Accept(ctx, es)
}

func (l nearLedger) Together(ctx context.Context, cs ledger.Calls) ledger.Answers {
	l.redis.trip(ctx)
	return l.Ledger.Together(ctx, cs)
}

func (l nearLedger) Wait(ctx context.Context, h ledger.Hold, reason string) error {
	l.redis.trip(ctx)
	return l.Ledger.Wait(ctx, h, reason)
}

func (l nearLedger) Release(ctx context.Context, h ledger.Hold, executed bool) error {
	l.redis.trip(ctx)
	return l.Ledger.Release(ctx, h, executed)
}

func (l nearLedger) Published(ctx context.Context, keys []run.Key) error {
	l.redis.trip(ctx)
	return l.Ledger.Published(ctx, keys)
}

func (l nearLedger) Cancelled(ctx context.Context, keys []run.Key) ([]bool, error) {
	l.redis.trip(ctx)
	return l.Ledger.Cancelled(ctx, keys)
}

func (l nearLedger) Backlogs(ctx context.Context, tenants []string) ([]int, error) {
	l.redis.trip(ctx)
	return l.Ledger.Backlogs(ctx, tenants)
}

type nearSlots struct {
	*memslot.Slots
	redis *redis
}

func (s nearSlots) Take(ctx context.Context, asks []slot.Ask, ttl time.Duration) ([]bool, error) {
	s.redis.trip(ctx)
	return s.Slots.Take(ctx, asks, ttl)
}

func (s nearSlots) Renew(ctx context.Context, asks []slot.Ask, ttl time.Duration) error {
	s.redis.trip(ctx)
	return s.Slots.Renew(ctx, asks, ttl)
}

func (s nearSlots) Give(ctx context.Context, asks []slot.Ask) error {
	s.redis.trip(ctx)
	return s.Slots.Give(ctx, asks)
}

// records are the records of builds. Those from before the play are in
// prepared, which the stories fill before they send a run that needs them.
type records struct {
	*memrecords.Records
	redis    *redis
	prepared *prepared
}

func (r records) Get(ctx context.Context, hash string) (builds.Record, bool, error) {
	all, err := r.GetAll(ctx, []string{hash})
	if err != nil || all[0] == nil {
		return builds.Record{}, false, err
	}
	return *all[0], true, nil
}

func (r records) GetAll(ctx context.Context, hashes []string) ([]*builds.Record, error) {
	r.redis.trip(ctx)
	all, err := r.Records.GetAll(ctx, hashes)
	for i := range all {
		if arn := r.prepared.get(hashes[i]); all[i] == nil && arn != "" {
			all[i] = &builds.Record{ARN: arn, Fence: 1}
		}
	}
	return all, err
}
