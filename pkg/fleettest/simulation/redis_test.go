package simulation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// redis makes a call of Redis for the site. While Redis is unreachable, a call
// fails at once, or hangs until the client's timeout. Sometimes a call takes
// effect and its answer is lost.
func redis[T any](ctx context.Context, s *site, op string, away error, do func(context.Context) (T, error)) (T, error) {
	v, err := through(ctx, s, op, func(ctx context.Context) (v T, err error) {
		if s.cutFromRedis() {
			if s.between(0, 2) == 0 {
				_ = pass(ctx, 4*time.Second)
			}
			return v, errors.New("redis is out of reach")
		}
		v, err = do(ctx)
		if err == nil && s.roll(s.f.plan.rates.redis) {
			return v, errors.New("the answer of redis was lost")
		}
		return v, err
	})
	var held *lease.HeldError
	if err == nil || errors.Is(err, away) || errors.As(err, &held) || errors.Is(err, lease.ErrLost) ||
		errors.Is(err, ledger.ErrLost) || errors.Is(err, builds.ErrStale) {
		return v, err
	}
	return v, fmt.Errorf("%w: %w", away, err)
}

func (s *site) cutFromRedis() bool {
	if s.f.healthy() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return among(s.f.plan.away, s.f.now()) || among(s.cut, s.f.now())
}

var errAway = errors.New("redis: away")

type none struct{}

// siteLedger is the ledger for one site.
type siteLedger struct {
	ledger.Ledger
	s *site
}

func (l *siteLedger) Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error) {
	return redis(ctx, l.s, "ledger.Accept", ledger.ErrUnavailable, func(ctx context.Context) ([]ledger.State, error) { return l.Ledger.Accept(ctx, es) })
}

func (l *siteLedger) Cancel(ctx context.Context, e ledger.Entry) (ledger.State, error) {
	return redis(ctx, l.s, "ledger.Cancel", ledger.ErrUnavailable, func(ctx context.Context) (ledger.State, error) { return l.Ledger.Cancel(ctx, e) })
}

func (l *siteLedger) Backlogs(ctx context.Context, tenants []string) ([]int, error) {
	return redis(ctx, l.s, "ledger.Backlogs", ledger.ErrUnavailable, func(ctx context.Context) ([]int, error) { return l.Ledger.Backlogs(ctx, tenants) })
}

func (l *siteLedger) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error) {
	as, err := redis(ctx, l.s, "ledger.Claim", ledger.ErrUnavailable, func(ctx context.Context) ([]ledger.Answer, error) { return l.Ledger.Claim(ctx, cs, ttl) })
	l.claims(cs, as)
	return as, err
}

// claims logs the answers to claims, and changes them where a mechanism is off.
func (l *siteLedger) claims(cs []ledger.Claim, as []ledger.Answer) {
	for i := range as {
		l.s.f.log(l.s.name, "claims %s: granted %t, begun %t, state %q, attempts %d, fresh %t, held by %q", cs[i].Entry.ID, as[i].Granted,
			as[i].Hold.Invoking, as[i].State, as[i].Attempts, as[i].Fresh, as[i].HeldBy)
		if l.s.f.off == suspicion && as[i].Fresh {
			as[i].Attempts, as[i].Hold.Attempts = 0, 0
		}
		if l.s.f.off == ledgerClaim && !as[i].Granted {
			as[i] = ledger.Answer{State: ledger.Queued, Granted: true,
				Hold: ledger.Hold{Entry: cs[i].Entry, Owner: cs[i].Owner, Fence: time.Now().UnixMicro()}}
		}
	}
}

// Together is one call of Redis: it fails, or its answer is lost, as a whole.
func (l *siteLedger) Together(ctx context.Context, cs ledger.Calls) ledger.Answers {
	begins := make([]bool, len(cs.Claims))
	if l.s.f.off == claimBegins {
		cs.Claims = slices.Clone(cs.Claims)
		for i := range cs.Claims {
			begins[i], cs.Claims[i].Begin = cs.Claims[i].Begin, false
		}
	}
	as, err := redis(ctx, l.s, "ledger.Together", ledger.ErrUnavailable, func(ctx context.Context) (ledger.Answers, error) { return l.Ledger.Together(ctx, cs), nil })
	if err != nil {
		as = ledger.NewAnswers(cs)
		for _, errs := range [][]error{as.Finishes, as.Published, as.ClaimErrs, as.Invoking} {
			for i := range errs {
				errs[i] = err
			}
		}
		return as
	}
	for i, a := range as.Claims {
		if begins[i] && a.Granted && a.Attempts == 0 && !a.Cancelled {
			as.Claims[i].Hold = a.Hold.Begun()
		}
	}
	l.claims(cs.Claims, as.Claims)
	l.finishes(cs.Finishes, as.Finishes)
	return as
}

func (l *siteLedger) Renew(ctx context.Context, hs []ledger.Hold, ttl time.Duration) ([]error, error) {
	if l.s.f.off == claimRenewal {
		return make([]error, len(hs)), nil
	}
	return redis(ctx, l.s, "ledger.Renew", ledger.ErrUnavailable, func(ctx context.Context) ([]error, error) { return l.Ledger.Renew(ctx, hs, ttl) })
}

func (l *siteLedger) Invoking(ctx context.Context, hs []ledger.Hold) ([]error, error) {
	return redis(ctx, l.s, "ledger.Invoking", ledger.ErrUnavailable, func(ctx context.Context) ([]error, error) { return l.Ledger.Invoking(ctx, hs) })
}

func (l *siteLedger) Wait(ctx context.Context, h ledger.Hold, reason string) error {
	_, err := redis(ctx, l.s, "ledger.Wait", ledger.ErrUnavailable, func(ctx context.Context) (none, error) { return none{}, l.Ledger.Wait(ctx, h, reason) })
	return err
}

func (l *siteLedger) Release(ctx context.Context, h ledger.Hold, executed bool) error {
	executed = executed || l.s.f.off == takingBack
	_, err := redis(ctx, l.s, "ledger.Release", ledger.ErrUnavailable, func(ctx context.Context) (none, error) { return none{}, l.Ledger.Release(ctx, h, executed) })
	return err
}

func (l *siteLedger) Finish(ctx context.Context, fs []ledger.Finish) ([]error, error) {
	errs, err := redis(ctx, l.s, "ledger.Finish", ledger.ErrUnavailable, func(ctx context.Context) ([]error, error) { return l.Ledger.Finish(ctx, fs) })
	l.finishes(fs, errs)
	return errs, err
}

// finishes does for finishes what claims does for claims.
func (l *siteLedger) finishes(fs []ledger.Finish, errs []error) {
	for i := range errs {
		l.s.f.log(l.s.name, "finishes %s as %s: %v", fs[i].Hold.Entry.ID, fs[i].Status, errs[i])
		if l.s.f.off == ledgerFence {
			errs[i] = nil
		}
	}
}

func (l *siteLedger) Published(ctx context.Context, keys []run.Key) error {
	_, err := redis(ctx, l.s, "ledger.Published", ledger.ErrUnavailable, func(ctx context.Context) (none, error) { return none{}, l.Ledger.Published(ctx, keys) })
	return err
}

func (l *siteLedger) Cancelled(ctx context.Context, keys []run.Key) ([]bool, error) {
	return redis(ctx, l.s, "ledger.Cancelled", ledger.ErrUnavailable, func(ctx context.Context) ([]bool, error) { return l.Ledger.Cancelled(ctx, keys) })
}

// siteLeases are the leases for one site.
type siteLeases struct {
	lease.Leases
	s *site
}

func (l *siteLeases) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (lease.Lease, error) {
	if l.s.f.off == runnerFlight && l.s.f.buildsRunner(key) {
		key += owner
	}
	return redis(ctx, l.s, "lease.Acquire", errAway, func(ctx context.Context) (lease.Lease, error) { return l.Leases.Acquire(ctx, key, owner, ttl) })
}

func (l *siteLeases) Renew(ctx context.Context, held lease.Lease, ttl time.Duration) error {
	if l.s.f.off == leaseRenewal {
		return nil
	}
	_, err := redis(ctx, l.s, "lease.Renew", errAway, func(ctx context.Context) (none, error) { return none{}, l.Leases.Renew(ctx, held, ttl) })
	return err
}

func (l *siteLeases) Release(ctx context.Context, held lease.Lease) error {
	_, err := redis(ctx, l.s, "lease.Release", errAway, func(ctx context.Context) (none, error) { return none{}, l.Leases.Release(ctx, held) })
	return err
}

// siteRecords are the build records for one site.
type siteRecords struct {
	builds.Records
	s *site
}

type record struct {
	builds.Record
	there bool
}

func (r *siteRecords) Get(ctx context.Context, hash string) (builds.Record, bool, error) {
	got, err := redis(ctx, r.s, "record.Get", errAway, func(ctx context.Context) (record, error) {
		rec, there, err := r.Records.Get(ctx, hash)
		return record{rec, there}, err
	})
	return got.Record, got.there, err
}

func (r *siteRecords) GetAll(ctx context.Context, hashes []string) ([]*builds.Record, error) {
	return redis(ctx, r.s, "record.GetAll", errAway, func(ctx context.Context) ([]*builds.Record, error) { return r.Records.GetAll(ctx, hashes) })
}

func (r *siteRecords) Put(ctx context.Context, hash string, rec builds.Record, ttl time.Duration) error {
	_, err := redis(ctx, r.s, "record.Put", errAway, func(ctx context.Context) (none, error) {
		err := r.Records.Put(ctx, hash, rec, ttl)
		if errors.Is(err, builds.ErrStale) && r.s.f.off == recordFence {
			_ = r.Records.Drop(ctx, hash, math.MaxInt64)
			err = r.Records.Put(ctx, hash, rec, ttl)
		}
		if err == nil {
			r.s.f.wrote(r.s, hash, rec)
		}
		return none{}, err
	})
	return err
}

func (r *siteRecords) Drop(ctx context.Context, hash string, fence int64) error {
	_, err := redis(ctx, r.s, "record.Drop", errAway, func(ctx context.Context) (none, error) { return none{}, r.Records.Drop(ctx, hash, fence) })
	return err
}

func (r *siteRecords) Watch(ctx context.Context, hash string) (<-chan struct{}, func(), error) {
	type watch struct {
		changed <-chan struct{}
		stop    func()
	}
	w, err := redis(ctx, r.s, "record.Watch", errAway, func(ctx context.Context) (watch, error) {
		changed, stop, err := r.Records.Watch(ctx, hash)
		return watch{changed, stop}, err
	})
	return w.changed, w.stop, err
}

// siteSlots are the tenants' slots for one site.
type siteSlots struct {
	slot.Slots
	s *site
}

func (l *siteSlots) Take(ctx context.Context, asks []slot.Ask, ttl time.Duration) ([]bool, error) {
	return redis(ctx, l.s, "slot.Take", slot.ErrUnavailable, func(ctx context.Context) ([]bool, error) { return l.Slots.Take(ctx, asks, ttl) })
}

func (l *siteSlots) Renew(ctx context.Context, asks []slot.Ask, ttl time.Duration) error {
	_, err := redis(ctx, l.s, "slot.Renew", slot.ErrUnavailable, func(ctx context.Context) (none, error) { return none{}, l.Slots.Renew(ctx, asks, ttl) })
	return err
}

func (l *siteSlots) Give(ctx context.Context, asks []slot.Ask) error {
	_, err := redis(ctx, l.s, "slot.Give", slot.ErrUnavailable, func(ctx context.Context) (none, error) { return none{}, l.Slots.Give(ctx, asks) })
	return err
}
