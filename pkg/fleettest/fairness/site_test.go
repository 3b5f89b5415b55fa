package fairness

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/memrecords"
	"github.com/scriptfleet/scriptfleet/pkg/builds/redisrecords"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/inmemory"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/lease"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
	"github.com/scriptfleet/scriptfleet/pkg/lease/redislease"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/redisledger"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/redisratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/slot/memslot"
	"github.com/scriptfleet/scriptfleet/pkg/slot/redisslot"
)

// site is what fleets need: an SQS, and Redis or its in-memory replacement.
// Each fleet has its own prefix.
type site struct {
	sqs     *awssqs.Client // the fleets', counted
	outside *awssqs.Client // the stories'
	counted *counted
	parts   func(prefix string) parts
}

type parts struct {
	ledger  ledger.Ledger
	leases  lease.Leases
	records builds.Records
	limiter ratelimit.Limiter
	slots   slot.Slots
}

// realSite is the embedded stack behind HTTP, and a redis-server.
func realSite(t *testing.T) *site {
	stack := stack.Start(t, localaws.Config{CacheDir: t.TempDir()})
	client := redistest.Connect(t, redistest.Start(t).Addr)
	c := &counted{server: client}
	client.AddHook(c)
	outside := sqsqueue.NewClient(stack.AWSConfig())
	return &site{sqs: c.client(outside), outside: outside, counted: c, parts: func(prefix string) parts {
		return parts{
			ledger: redisledger.New(redisledger.Config{Prefix: prefix}, client), leases: redislease.New(client, prefix),
			records: redisrecords.New(client, prefix), slots: redisslot.New(redisslot.Config{Prefix: prefix}, client),
			limiter: redisratelimit.New(redisratelimit.Config{Prefix: prefix, Rate: function.ControlPlane}, client),
		}
	}}
}

// virtualSite is the embedded SQS without a network, and in-memory
// implementations of what is in Redis. It waits for nothing but the clock, so
// it works in a bubble of testing/synctest. The caller must call end.
func virtualSite(t *testing.T) (s *site, end func()) {
	server, err := sqs.New(sqs.Config{Region: "us-east-1", Account: "123456789012"}, sqs.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	direct := direct{server, auth.Root("123456789012", "AKIA")}
	client := sqsqueue.NewClient(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://sqs.invalid"), Credentials: aws.AnonymousCredentials{},
	}, func(o *awssqs.Options) { o.HTTPClient = direct })
	c := &counted{}
	return &site{sqs: c.client(client), outside: client, counted: c, parts: func(string) parts {
		return parts{
			ledger: near{memledger.New(memledger.Config{}), c}, leases: memlease.New(), records: nearRecords{memrecords.New(), c}, slots: nearSlots{memslot.New(), c},
			limiter: memratelimit.New(function.ControlPlane),
		}
	}}, server.Close
}

// direct calls a handler in the goroutine of the request's sender.
type direct struct {
	handler http.Handler
	id      auth.Identity
}

func (d direct) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = io.NopCloser(http.NoBody)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r.WithContext(auth.With(r.Context(), d.id)))
	return w.Result(), nil
}

// near is a ledger with a latency of 1 ms, and counts each call as a round
// trip.
type near struct {
	ledger.Ledger
	counted *counted
}

func (l near) trip(ctx context.Context) {
	l.counted.trips.Add(1)
	inmemory.Await(ctx, redisTakes)
}

const redisTakes = time.Millisecond

// nearSlots are slots as far away, and counted in the same way.
type nearSlots struct {
	slot.Slots
	counted *counted
}

func (s nearSlots) Take(ctx context.Context, asks []slot.Ask, ttl time.Duration) ([]bool, error) {
	near{nil, s.counted}.trip(ctx)
	return s.Slots.Take(ctx, asks, ttl)
}

func (s nearSlots) Renew(ctx context.Context, asks []slot.Ask, ttl time.Duration) error {
	near{nil, s.counted}.trip(ctx)
	return s.Slots.Renew(ctx, asks, ttl)
}

func (s nearSlots) Give(ctx context.Context, asks []slot.Ask) error {
	near{nil, s.counted}.trip(ctx)
	return s.Slots.Give(ctx, asks)
}

// nearRecords are records of builds that are as far away when runs look for them.
type nearRecords struct {
	builds.Records
	counted *counted
}

func (r nearRecords) GetAll(ctx context.Context, hashes []string) ([]*builds.Record, error) {
	near{nil, r.counted}.trip(ctx)
	return r.Records.GetAll(ctx, hashes)
}

func (l near) Accept(ctx context.Context, es []ledger.Entry) ([]ledger.State, error) {
	l.trip(ctx)
	return l.Ledger.Accept(ctx, es)
}

func (l near) Claim(ctx context.Context, cs []ledger.Claim, ttl time.Duration) ([]ledger.Answer, error) {
	l.trip(ctx)
	return l.Ledger.Claim(ctx, cs, ttl)
}

func (l near) Renew(ctx context.Context, hs []ledger.Hold, ttl time.Duration) ([]error, error) {
	l.trip(ctx)
	return l.Ledger.Renew(ctx, hs, ttl)
}

func (l near) Invoking(ctx context.Context, hs []ledger.Hold) ([]error, error) {
	l.trip(ctx)
	return l.Ledger.Invoking(ctx, hs)
}

func (l near) Together(ctx context.Context, cs ledger.Calls) ledger.Answers {
	l.trip(ctx)
	return l.Ledger.Together(ctx, cs)
}

func (l near) Wait(ctx context.Context, h ledger.Hold, reason string) error {
	l.trip(ctx)
	return l.Ledger.Wait(ctx, h, reason)
}

func (l near) Release(ctx context.Context, h ledger.Hold, executed bool) error {
	l.trip(ctx)
	return l.Ledger.Release(ctx, h, executed)
}

func (l near) Finish(ctx context.Context, fs []ledger.Finish) ([]error, error) {
	l.trip(ctx)
	return l.Ledger.Finish(ctx, fs)
}

func (l near) Published(ctx context.Context, keys []run.Key) error {
	l.trip(ctx)
	return l.Ledger.Published(ctx, keys)
}

func (l near) Cancelled(ctx context.Context, keys []run.Key) ([]bool, error) {
	l.trip(ctx)
	return l.Ledger.Cancelled(ctx, keys)
}

func (l near) Backlogs(ctx context.Context, tenants []string) ([]int, error) {
	l.trip(ctx)
	return l.Ledger.Backlogs(ctx, tenants)
}
