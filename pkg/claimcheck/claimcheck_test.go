package claimcheck_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/memstore"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("the store is away")

type fixture struct {
	plain *memqueue.Queue
	store *memstore.Store
	queue *claimcheck.Queue
}

func setUp(cfg claimcheck.Config) fixture {
	f := fixture{plain: memqueue.New("q", memqueue.Options{}), store: memstore.New("bucket")}
	if cfg.Prefix == "" {
		cfg.Prefix = "results"
	}
	f.queue = claimcheck.Wrap(f.plain, f.store, cfg)
	return f
}

func send(t *testing.T, q queue.Queue, ms ...queue.Message) {
	t.Helper()
	if err := errors.Join(q.Send(t.Context(), ms)...); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, q queue.Queue) []queue.Delivery {
	t.Helper()
	ds, err := q.Receive(t.Context(), queue.Poll{Max: 10, Visibility: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func large(n int) []byte { return bytes.Repeat([]byte("x"), n) }

func TestKeepsTheContractOfAQueue(t *testing.T) {
	n, store := 0, memstore.New("bucket")
	queuetest.RunInBubbles(t, func(_ *testing.T, o queuetest.Options) queue.Queue {
		n++
		name, options := fmt.Sprint("q", n), memqueue.Options{MaxReceiveCount: o.MaxReceiveCount}
		if o.DeadLetter != nil {
			options.DeadLetter = o.DeadLetter.(*claimcheck.Queue).Queue.(*memqueue.Queue)
		}
		// A low threshold, so that most tests of the contract store their
		// bodies.
		return claimcheck.Wrap(memqueue.New(name, options), store,
			claimcheck.Config{Prefix: "results", Threshold: 8, MaxBody: cmp.Or(o.MaxBytes, queue.MaxMessageBytes)})
	},
		queuetest.Exception{Claim: "ABatchFailsInPart", Reason: "a stored body may have any character"},
		queuetest.Exception{Claim: "AttributesCountTowardTheSize", Reason: "what is too large is stored"},
		queuetest.Exception{Claim: "NumbersTravel", Reason: "the numbers are the claim check's own"})
}

func TestALargeBodyTravelsThroughTheStore(t *testing.T) {
	f := setUp(claimcheck.Config{})
	body := large(3 << 20)
	send(t, f.queue, queue.Message{Body: body, Group: "acme", Attributes: map[string]string{"status": "succeeded"}})

	raw := receive(t, f.plain)[0]
	if raw.Attributes[queue.AttributePayloadSize] != fmt.Sprint(len(body)) || raw.Group != "acme" || raw.Attributes["status"] != "succeeded" {
		t.Errorf("on the queue: group %q, attributes %v", raw.Group, raw.Attributes)
	}
	key := f.store.Keys()[0]
	want := `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"bucket","s3Key":"` + key + `"}]`
	if string(raw.Body) != want {
		t.Errorf("on the queue: %s\nwant %s", raw.Body, want)
	}
	f.plain.Extend(t.Context(), []queue.Delivery{raw}, 0)

	d := receive(t, f.queue)[0]
	if !bytes.Equal(d.Body, body) || claimcheck.Problem(d) != nil {
		t.Errorf("received %d bytes, problem %v", len(d.Body), claimcheck.Problem(d))
	}
	if _, told := d.Attributes[queue.AttributePayloadSize]; told || d.Attributes["status"] != "succeeded" {
		t.Errorf("attributes %v", d.Attributes)
	}
}

func TestAttributesCountTowardTheThreshold(t *testing.T) {
	f := setUp(claimcheck.Config{})
	body := large(queue.MaxMessageBytes - 100)
	send(t, f.queue, queue.Message{Body: body}, queue.Message{Body: body, Attributes: map[string]string{"a": strings.Repeat("y", 200)}})
	if n := len(f.store.Keys()); n != 1 {
		t.Errorf("%d bodies were stored, want only the one that its attributes make too large", n)
	}
}

func TestBodyAboveTheQueuesOwnLimitIsStored(t *testing.T) {
	store := memstore.New("bucket")
	plain := memqueue.New("results", memqueue.Options{MaxBytes: 256 << 10})
	send(t, claimcheck.Wrap(plain, store, claimcheck.Config{Prefix: "results"}), queue.Message{Body: large(256 << 10)}, queue.Message{Body: large(256<<10 + 1)})
	if n := len(store.Keys()); n != 1 {
		t.Errorf("%d bodies were stored, want only the one that the queue does not take", n)
	}
}

func TestAMessageThatNoQueueTakesIsNotStored(t *testing.T) {
	f := setUp(claimcheck.Config{Threshold: 10, MaxBody: 1000})
	many := map[string]string{}
	for i := range 10 { // the attribute of the claim check would be the eleventh
		many[fmt.Sprint("a", i)] = "x"
	}
	errs := f.queue.Send(t.Context(), []queue.Message{
		{Body: large(1001)},
		{Body: large(100), Attributes: many},
		{Body: large(5), Attributes: map[string]string{queue.AttributePayloadSize: "5"}},
		{Body: large(100), Attributes: map[string]string{queue.AttributeLegacyPayloadSize: "5"}},
		{Body: large(100)},
	})
	if !errors.Is(errs[0], queue.ErrTooLarge) {
		t.Errorf("a body beyond the bound: %v", errs[0])
	}
	for i := 1; i < 4; i++ {
		if !errors.Is(errs[i], queue.ErrInvalid) {
			t.Errorf("message %d: %v, want ErrInvalid", i, errs[i])
		}
	}
	if errs[4] != nil || len(f.store.Keys()) != 1 {
		t.Errorf("the good one: %v, and %d bodies stored", errs[4], len(f.store.Keys()))
	}
}

func TestAStoreThatRefusesABodyFailsThatEntryOnly(t *testing.T) {
	f := setUp(claimcheck.Config{Threshold: 100})
	f.store.Fault = func(string, string) error { return errAway }
	errs := f.queue.Send(t.Context(), []queue.Message{{Body: large(10)}, {Body: large(1000)}})
	if errs[0] != nil || !errors.Is(errs[1], errAway) {
		t.Errorf("send: %v", errs)
	}
	if d, _ := f.plain.Depth(t.Context()); d.Visible != 1 {
		t.Errorf("depth %+v, want the small one only", d)
	}
}

func TestADeliveryWhosePointerMayNotBeFollowedComesAsItStands(t *testing.T) {
	f := setUp(claimcheck.Config{Threshold: 10, MaxBody: 1000})
	send(t, f.queue, queue.Message{Body: large(100), Group: "victim"})
	ours := receive(t, f.plain)[0]
	const pointer = `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"%s","s3Key":"%s"}]`

	for name, c := range map[string]struct {
		body string
		want error
	}{
		"another tenant's": {string(ours.Body), claimcheck.ErrForeign},
		"another bucket":   {fmt.Sprintf(pointer, "secrets", f.store.Keys()[0]), claimcheck.ErrForeign},
		"another prefix":   {fmt.Sprintf(pointer, "bucket", "requests/x"), claimcheck.ErrForeign},
		"no pointer":       {`{"specversion":"1.0"}`, claimcheck.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			f.store.Fault = func(op, key string) error {
				t.Errorf("the store was asked to %s %s", op, key)
				return nil
			}
			defer func() { f.store.Fault = nil }()
			send(t, f.plain, queue.Message{Body: []byte(c.body), Group: "acme", Attributes: map[string]string{queue.AttributeLegacyPayloadSize: "100"}})
			d := receive(t, f.queue)[0]
			if !errors.Is(claimcheck.Problem(d), c.want) || string(d.Body) != c.body {
				t.Errorf("problem %v and body %q, want %v and the body as it stands", claimcheck.Problem(d), d.Body, c.want)
			}
			if err := f.queue.Delete(t.Context(), []queue.Delivery{d})[0]; err != nil {
				t.Error(err)
			}
		})
	}
	if len(f.store.Keys()) == 0 {
		t.Error("a forged pointer had an object deleted")
	}
}

func TestAnObjectThatIsGoneOrTooLargeIsAProblemOfItsDelivery(t *testing.T) {
	f := setUp(claimcheck.Config{Threshold: 10, MaxBody: 1000})
	send(t, f.queue, queue.Message{Body: large(100)})
	f.store.Lose(f.store.Keys()[0])
	if err := claimcheck.Problem(receive(t, f.queue)[0]); !errors.Is(err, claimcheck.ErrNoObject) {
		t.Errorf("problem %v, want ErrNoObject", err)
	}
	send(t, f.queue, queue.Message{Body: large(100)})
	f.store.Put(t.Context(), f.store.Keys()[0], large(1001))
	if err := claimcheck.Problem(receive(t, f.queue)[0]); !errors.Is(err, claimcheck.ErrTooLarge) {
		t.Errorf("problem %v, want ErrTooLarge", err)
	}
}

func TestAStoreThatIsAwayLosesNoDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setUp(claimcheck.Config{Threshold: 100})
		send(t, f.queue, queue.Message{Body: large(1000)}, queue.Message{Body: []byte("small")})
		f.store.Fault = func(string, string) error { return errAway }

		if ds := receive(t, f.queue); len(ds) != 1 || string(ds[0].Body) != "small" {
			t.Fatalf("received %d, want the small one", len(ds))
		}
		poll := queue.Poll{Max: 10, Wait: 20 * time.Second, Visibility: time.Hour}
		if ds, err := f.queue.Receive(t.Context(), poll); len(ds) > 0 || !errors.Is(err, errAway) {
			t.Fatalf("received %d, %v, want why there is none", len(ds), err)
		}
		f.store.Fault = nil
		began := time.Now()
		ds, err := f.queue.Receive(t.Context(), poll)
		if err != nil || len(ds) != 1 || len(ds[0].Body) != 1000 {
			t.Fatalf("received %d, %v, want the large one", len(ds), err)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it came again after %s", took)
		}
	})
}

// A store that hangs must not use up the visibility of the deliveries.
func TestAStoreThatHangsCostsHalfTheVisibility(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := memqueue.New("q", memqueue.Options{})
		hanging := &hangingStore{memstore.New("bucket")}
		q := claimcheck.Wrap(plain, hanging, claimcheck.Config{Prefix: "results", Threshold: 10})
		send(t, q, queue.Message{Body: large(100)})
		began := time.Now()
		_, err := q.Receive(t.Context(), queue.Poll{Max: 10, Visibility: 10 * time.Second})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second {
			t.Errorf("receive failed with %v after %s", err, took)
		}
	})
}

// A queue may finish a poll after the caller's ctx has ended. Its deliveries
// are ours, so their bodies must be read nevertheless.
func TestWhatAPollBroughtIsRedeemedThoughItsCallerHasStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	plain := &stoppingQueue{memqueue.New("q", memqueue.Options{}), cancel}
	q := claimcheck.Wrap(plain, memstore.New("bucket"), claimcheck.Config{Prefix: "results", Threshold: 10})
	send(t, q, queue.Message{Body: large(100)})
	ds, err := q.Receive(ctx, queue.Poll{Max: 10, Visibility: time.Minute})
	if err != nil || len(ds) != 1 || len(ds[0].Body) != 100 {
		t.Errorf("receive = %v, %v", ds, err)
	}
}

type stoppingQueue struct {
	*memqueue.Queue
	stop context.CancelFunc
}

func (q *stoppingQueue) Receive(ctx context.Context, p queue.Poll) ([]queue.Delivery, error) {
	defer q.stop()
	return q.Queue.Receive(ctx, p)
}

type hangingStore struct{ *memstore.Store }

func (s *hangingStore) Get(ctx context.Context, _ string, _ int) ([]byte, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestADeliverysAttributesMayBeSentOn(t *testing.T) {
	f := setUp(claimcheck.Config{Threshold: 10})
	send(t, f.queue, queue.Message{Body: large(100), Attributes: map[string]string{"a": "b"}})
	d := receive(t, f.queue)[0]
	send(t, f.queue, queue.Message{Body: []byte("x"), Attributes: d.Attributes})
	if again := receive(t, f.plain)[0]; len(again.Attributes) != 1 || again.Attributes["a"] != "b" {
		t.Errorf("sent on with %v", again.Attributes)
	}
}
