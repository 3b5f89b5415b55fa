package queuetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

type claim struct {
	name  string
	check func(t *testing.T, open Open)
}

var claims = []claim{
	{"BatchesOfMoreThanTenAreSplit", batchesOfMoreThanTenAreSplit},
	{"BatchesBeyondOneMebibyteAreSplit", batchesBeyondOneMebibyteAreSplit},
	{"EmptyBatchesAreAnswered", emptyBatchesAreAnswered},
	{"ABatchFailsInPart", aBatchFailsInPart},
	{"AttributesCountTowardTheSize", attributesCountTowardTheSize},
	{"AQueueThatTakesLessSaysSoAndIsKeptTo", aQueueThatTakesLess},
	{"WhatIsSentArrivesByteForByte", whatIsSentArrivesByteForByte},
	{"GroupAndAttributesTravel", groupAndAttributesTravel},
	{"NumbersTravel", numbersTravel},
	{"TheTraceHeaderTravels", theTraceHeaderTravels},
	{"DelayedMessagesComeLater", delayedMessagesComeLater},
	{"ALongPollReturnsWhenAMessageIsSent", aLongPollReturnsWhenAMessageIsSent},
	{"ALongPollReturnsEmptyAtItsEnd", aLongPollReturnsEmptyAtItsEnd},
	{"AnEndedContextTakesNoMessage", anEndedContextTakesNoMessage},
	{"AMessageComesAgainWhenItsVisibilityRunsOut", comesAgainWhenVisibilityRunsOut},
	{"ExtendByZeroPutsBackAtOnce", extendByZeroPutsBackAtOnce},
	{"ExtendKeepsADeliveryOurs", extendKeepsADeliveryOurs},
	{"ExtendPutsBackAfterADelay", extendPutsBackAfterADelay},
	{"ExtendOfADeliveryThatWasLostIsErrGone", extendOfLostIsErrGone},
	{"ExtendOfADeletedMessageIsErrGone", extendOfDeletedIsErrGone},
	{"DepthTellsWhereMessagesAre", depthTellsWhereMessagesAre},
	{"ReceiversNeverShareADelivery", receiversNeverShareADelivery},
	{"MessagesReceivedTooOftenMoveToTheDeadLetterQueue", receivedTooOftenMoves},
}

func batchesOfMoreThanTenAreSplit(t *testing.T, open Open) {
	q := open(t, Options{})
	ms := numbered(25)
	send(t, q, ms...)
	ds := collect(t, q, len(ms), time.Minute)
	for _, m := range ms {
		if !slices.ContainsFunc(ds, func(d queue.Delivery) bool { return bytes.Equal(d.Body, m.Body) }) {
			t.Errorf("%q did not arrive", m.Body)
		}
	}
	settled(t, "extend", q.Extend(t.Context(), ds, 2*time.Minute))
	settled(t, "delete", q.Delete(t.Context(), ds))
	depth(t, q, queue.Depth{})
}

func batchesBeyondOneMebibyteAreSplit(t *testing.T, open Open) {
	q := open(t, Options{})
	ms := make([]queue.Message, 6)
	for i := range ms {
		ms[i].Body = bytes.Repeat([]byte{byte('a' + i)}, 400<<10)
	}
	ms[5].Body = bytes.Repeat([]byte("x"), queue.MaxMessageBytes) // fills a call by itself
	send(t, q, ms...)
	settled(t, "delete", q.Delete(t.Context(), collect(t, q, len(ms), time.Minute)))
}

func emptyBatchesAreAnswered(t *testing.T, open Open) {
	q := open(t, Options{})
	errs := slices.Concat(q.Send(t.Context(), nil), q.Delete(t.Context(), nil), q.Extend(t.Context(), nil, time.Second))
	if len(errs) > 0 {
		t.Errorf("%d answers for no entries", len(errs))
	}
}

func aBatchFailsInPart(t *testing.T, open Open) {
	q := open(t, Options{})
	ms := numbered(4)
	ms[1].Body = make([]byte, queue.MaxMessageBytes+1)
	ms[2].Body = []byte("a character that SQS does not take: \x01")
	errs := q.Send(t.Context(), ms)
	if errs[0] != nil || errs[3] != nil {
		t.Fatalf("good entries failed: %v, %v", errs[0], errs[3])
	}
	if !errors.Is(errs[1], queue.ErrTooLarge) || !errors.Is(errs[2], queue.ErrInvalid) {
		t.Errorf("bad entries: %v, %v, want ErrTooLarge and ErrInvalid", errs[1], errs[2])
	}
	ds := collect(t, q, 2, time.Minute)
	settled(t, "delete", q.Delete(t.Context(), ds[:1]))

	unknown := ds[1]
	unknown.Handle = "a handle that the queue never gave"
	errs = q.Extend(t.Context(), []queue.Delivery{unknown, ds[1]}, 2*time.Minute)
	if errs[0] == nil || errs[1] != nil {
		t.Errorf("extend of an unknown and a good delivery: %v", errs)
	}
	errs = q.Delete(t.Context(), []queue.Delivery{unknown, ds[1]})
	if errs[0] == nil || errs[1] != nil {
		t.Errorf("delete of an unknown and a good delivery: %v", errs)
	}
	depth(t, q, queue.Depth{})
}

func attributesCountTowardTheSize(t *testing.T, open Open) {
	q := open(t, Options{})
	m := queue.Message{Body: bytes.Repeat([]byte("x"), queue.MaxMessageBytes-100), Attributes: map[string]string{"status": strings.Repeat("y", 200)}}
	if err := q.Send(t.Context(), []queue.Message{m})[0]; !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("send = %v, want ErrTooLarge", err)
	}
}

func aQueueThatTakesLess(t *testing.T, open Open) {
	if n := open(t, Options{}).MaxBytes(); n != queue.MaxMessageBytes {
		t.Errorf("a plain queue takes %d bytes, want %d", n, queue.MaxMessageBytes)
	}
	const limit = 256 << 10
	q := open(t, Options{MaxBytes: limit})
	if q.MaxBytes() != limit {
		t.Fatalf("it takes %d bytes, want %d", q.MaxBytes(), limit)
	}
	ms := numbered(5)
	ms[1].Body = bytes.Repeat([]byte("x"), limit)
	ms[2].Body = bytes.Repeat([]byte("x"), limit+1)
	ms[3].Body = bytes.Repeat([]byte("x"), limit-10)
	for i, err := range q.Send(t.Context(), ms) {
		if want := i == 2; errors.Is(err, queue.ErrTooLarge) != want || err != nil && !want {
			t.Errorf("message %d of %d bytes: %v", i, len(ms[i].Body), err)
		}
	}
	sender := queue.NewSender(q, 1, batch.OnTheWay, panics.Guard{})
	if err := sender.Send(t.Context(), ms[2]); !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("the batched send = %v, want ErrTooLarge", err)
	}
	settled(t, "delete", q.Delete(t.Context(), collect(t, q, 4, time.Minute)))
}

func whatIsSentArrivesByteForByte(t *testing.T, open Open) {
	q := open(t, Options{})
	body := "{\"a\": \"\\u0001 <&> \\\" é 汉 🙂\"}\n\tno trailing newline is added \ufffd"
	send(t, q, queue.Message{Body: []byte(body)})
	if d := one(t, q, time.Minute); string(d.Body) != body {
		t.Errorf("received %q, want %q", d.Body, body)
	}
}

func groupAndAttributesTravel(t *testing.T, open Open) {
	q := open(t, Options{})
	attributes := map[string]string{"tenant": "acme", "status": "timed_out"}
	send(t, q, queue.Message{Body: []byte("x"), Group: "acme", Attributes: attributes})
	d := one(t, q, time.Minute)
	if d.Group != "acme" || !maps.Equal(d.Attributes, attributes) {
		t.Errorf("received group %q and attributes %v", d.Group, d.Attributes)
	}
}

func numbersTravel(t *testing.T, open Open) {
	q := open(t, Options{})
	send(t, q, queue.Message{Body: []byte("x"), Attributes: map[string]string{queue.AttributePayloadSize: "1234567"}})
	if got := one(t, q, time.Minute).Attributes[queue.AttributePayloadSize]; got != "1234567" {
		t.Errorf("received %q", got)
	}
}

func theTraceHeaderTravels(t *testing.T, open Open) {
	q := open(t, Options{})
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	send(t, q, queue.Message{Body: []byte("x"), TraceHeader: header})
	if got := one(t, q, time.Minute).TraceHeader; got != header {
		t.Errorf("received %q", got)
	}
	send(t, q, queue.Message{Body: []byte("y")})
	if got := one(t, q, time.Minute).TraceHeader; got != "" {
		t.Errorf("without one, received %q", got)
	}
}

func delayedMessagesComeLater(t *testing.T, open Open) {
	q := open(t, Options{})
	const delay = 3 * time.Second
	sent := time.Now()
	send(t, q, queue.Message{Body: []byte("later"), Delay: delay}, queue.Message{Body: []byte("now")})
	for _, d := range collect(t, q, 2, time.Minute) {
		if after := d.ReceivedAt.Sub(sent); string(d.Body) == "later" && after < delay-time.Second {
			t.Errorf("received after %s, in spite of its delay", after)
		}
	}
}

func aLongPollReturnsWhenAMessageIsSent(t *testing.T, open Open) {
	q := open(t, Options{})
	go func() {
		timer := time.NewTimer(time.Second) // long enough for the poll to be under way
		defer timer.Stop()
		<-timer.C
		q.Send(context.WithoutCancel(t.Context()), numbered(1))
	}()
	began := time.Now()
	ds := poll(t, q, queue.MaxWait, time.Minute)
	if took := time.Since(began); len(ds) != 1 || took > queue.MaxWait/2 {
		t.Errorf("%d messages after %s", len(ds), took)
	}
}

func aLongPollReturnsEmptyAtItsEnd(t *testing.T, open Open) {
	q := open(t, Options{})
	began := time.Now()
	ds := poll(t, q, 2*time.Second, time.Minute)
	if took := time.Since(began); len(ds) != 0 || took < 1500*time.Millisecond {
		t.Errorf("%d messages after %s", len(ds), took)
	}
}

func anEndedContextTakesNoMessage(t *testing.T, open Open) {
	q := open(t, Options{})
	send(t, q, numbered(1)...)
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if ds, err := q.Receive(ctx, queue.Poll{Max: 1, Visibility: time.Minute}); !errors.Is(err, stopped) {
		t.Errorf("receive = %v, %v, want the context's cause", ds, err)
	}
	one(t, q, time.Minute)
}

func comesAgainWhenVisibilityRunsOut(t *testing.T, open Open) {
	q := open(t, Options{})
	const visibility = 2 * time.Second
	send(t, q, numbered(1)...)
	began := time.Now()
	first := one(t, q, visibility)
	again := one(t, q, time.Minute)
	if after := again.ReceivedAt.Sub(began); after < visibility {
		t.Errorf("received again after %s, within its visibility", after)
	}
	if first.ReceiveCount != 1 || again.ReceiveCount != 2 {
		t.Errorf("receive counts %d and %d, want 1 and 2", first.ReceiveCount, again.ReceiveCount)
	}
	if again.MessageID != first.MessageID || again.Handle == first.Handle {
		t.Errorf("want the same message under another handle: %+v and %+v", first, again)
	}
	if !again.SentAt.Equal(first.SentAt) || !again.FirstAt.Equal(first.FirstAt) {
		t.Errorf("times changed: %+v and %+v", first, again)
	}
	if off := first.SentAt.Sub(began).Abs(); off > patience {
		t.Errorf("sent at %s by the queue's clock, %s off ours", first.SentAt, off)
	}
	settled(t, "delete", q.Delete(t.Context(), []queue.Delivery{again}))
	depth(t, q, queue.Depth{})
}

func receivedTooOftenMoves(t *testing.T, open Open) {
	dead := open(t, Options{})
	q := open(t, Options{MaxReceiveCount: 2, DeadLetter: dead})
	send(t, q, queue.Message{Body: []byte("poison"), Group: "acme", Attributes: map[string]string{"tenant": "acme"}})
	var first queue.Delivery
	for n := 1; n <= 2; n++ {
		first = one(t, q, time.Minute)
		if first.ReceiveCount != n {
			t.Fatalf("receive count %d, want %d", first.ReceiveCount, n)
		}
		settled(t, "put back", q.Extend(t.Context(), []queue.Delivery{first}, 0))
	}
	nothing(t, q)
	d := one(t, dead, time.Minute)
	if d.MessageID != first.MessageID || string(d.Body) != "poison" || d.Attributes["tenant"] != "acme" {
		t.Errorf("on the dead-letter queue: %+v", d)
	}
	depth(t, q, queue.Depth{})
}
