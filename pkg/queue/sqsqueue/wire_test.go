package sqsqueue_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// wire is an endpoint whose answers a test sets, for answers that a working
// server seldom gives.
type wire struct {
	mu    sync.Mutex
	calls map[string]int
	sizes []int // entries of each batch call
	bySDK int   // calls that the SDK's client has made, after Open's
	reply func(op string, call int, in input) (status int, code string, out any)
}

type input struct {
	Entries []struct {
		ID          string `json:"Id"`
		MessageBody string
		Handle      string `json:"ReceiptHandle"`
		Visibility  *int   `json:"VisibilityTimeout"`
	}
	WaitTimeSeconds int
}

type entry map[string]any

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in input
	json.NewDecoder(r.Body).Decode(&in)
	rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if op == "GetQueueUrl" {
		fmt.Fprint(rw, `{"QueueUrl":"http://127.0.0.1/000000000000/wire"}`)
		return
	}
	if op == "GetQueueAttributes" {
		fmt.Fprint(rw, `{"Attributes":{"MaximumMessageSize":"1048576"}}`)
		return
	}
	w.mu.Lock()
	w.calls[op]++
	call := w.calls[op]
	if r.Header.Get("Amz-Sdk-Invocation-Id") != "" {
		w.bySDK++
	}
	w.sizes = append(w.sizes, len(in.Entries))
	w.mu.Unlock()
	status, code, out := w.reply(op, call, in)
	if code != "" {
		rw.Header().Set("x-amzn-query-error", code+";Sender")
		out = entry{"__type": "com.amazonaws.sqs#" + code, "message": "as the test says"}
	}
	rw.WriteHeader(status)
	json.NewEncoder(rw).Encode(out)
}

func wired(t *testing.T, reply func(op string, call int, in input) (int, string, any)) (*wire, *sqsqueue.Queue) {
	t.Helper()
	w := &wire{calls: map[string]int{}, reply: reply}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	q, err := sqsqueue.Open(t.Context(), clientOf(server.URL), "wire")
	if err != nil {
		t.Fatal(err)
	}
	return w, q
}

// allBut answers with success for every entry that fails does not name.
func allBut(in input, fails map[string]entry) entry {
	ok, failed := []entry{}, []entry{}
	for _, e := range in.Entries {
		if f, bad := fails[e.ID]; bad {
			if f != nil {
				f["Id"] = e.ID
				failed = append(failed, f)
			}
			continue
		}
		sum := md5.Sum([]byte(e.MessageBody))
		ok = append(ok, entry{"Id": e.ID, "MessageId": "m" + e.ID, "MD5OfMessageBody": hex.EncodeToString(sum[:])})
	}
	return entry{"Successful": ok, "Failed": failed}
}

func messages(n int) []queue.Message {
	ms := make([]queue.Message, n)
	for i := range ms {
		ms[i].Body = fmt.Appendf(nil, "%d", i)
	}
	return ms
}

func TestEntriesThatFailAreNeitherRetriedNorHidden(t *testing.T) {
	w, q := wired(t, func(_ string, _ int, in input) (int, string, any) {
		return 200, "", allBut(in, map[string]entry{
			"1": {"Code": "InternalError", "Message": "try later", "SenderFault": false},
			"2": {"Code": "InvalidMessageContents", "Message": "no", "SenderFault": true},
			"3": nil, // the answer does not mention it
		})
	})
	errs := q.Send(t.Context(), messages(5))
	var e *sqsqueue.EntryError
	if errs[0] != nil || errs[4] != nil {
		t.Errorf("good entries: %v, %v", errs[0], errs[4])
	}
	if !errors.As(errs[1], &e) || e.SenderFault || e.Code != "InternalError" {
		t.Errorf("an entry that failed on their side: %v", errs[1])
	}
	if !errors.Is(errs[2], queue.ErrInvalid) {
		t.Errorf("an entry with invalid contents: %v", errs[2])
	}
	if errs[3] == nil {
		t.Error("an entry that the answer does not mention counts as sent")
	}
	if w.calls["SendMessageBatch"] != 1 {
		t.Errorf("%d calls, want 1: entries are tried again by their callers", w.calls["SendMessageBatch"])
	}
}

func TestMessageThatIsRefusedForItsOwnSakeIsRefusedForGood(t *testing.T) {
	_, q := wired(t, func(_ string, _ int, in input) (int, string, any) {
		return 200, "", allBut(in, map[string]entry{
			"0": {"Code": "InvalidParameterValue", "SenderFault": true,
				"Message": "One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes."},
			"1": {"Code": "InvalidParameterValue", "SenderFault": true, "Message": "Value for parameter MessageAttributes is invalid."},
			"2": {"Code": "AccessDenied", "SenderFault": true, "Message": "mended by the operator"},
		})
	})
	errs := q.Send(t.Context(), messages(4))
	if !errors.Is(errs[0], queue.ErrTooLarge) || !errors.Is(errs[1], queue.ErrInvalid) {
		t.Errorf("the entries fail with %v and %v, want ErrTooLarge and ErrInvalid", errs[0], errs[1])
	}
	if errs[2] == nil || errors.Is(errs[2], queue.ErrTooLarge) || errors.Is(errs[2], queue.ErrInvalid) {
		t.Errorf("an entry that may go through later fails with %v", errs[2])
	}
}

// The limit of a queue may be lowered after Open.
func TestCallThatIsTooLongFailsTheMessageThatIs(t *testing.T) {
	for _, code := range []string{"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"} {
		_, q := wired(t, func(_ string, _ int, in input) (int, string, any) {
			for _, e := range in.Entries {
				if e.MessageBody == "1" {
					return 400, code, nil
				}
			}
			return 200, "", allBut(in, nil)
		})
		for i, err := range q.Send(t.Context(), messages(3)) {
			if large := i == 1; errors.Is(err, queue.ErrTooLarge) != large || err != nil && !large {
				t.Errorf("%s: message %d: %v", code, i, err)
			}
		}
	}
}

func TestWhatIsNoLongerOursIsErrGoneByWhateverCode(t *testing.T) {
	gone := map[string]entry{
		"0": {"Code": "ReceiptHandleIsInvalid", "Message": "not a valid receipt handle", "SenderFault": true},
		"1": {"Code": "AWS.SimpleQueueService.MessageNotInflight", "Message": "", "SenderFault": true},
		"2": {"Code": "InvalidParameterValue", "SenderFault": true,
			"Message": "Value AQEB for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."},
		"3": {"Code": "InvalidParameterValue", "SenderFault": true,
			"Message": "Value AQEB for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change."},
	}
	beyond := entry{"Code": "InvalidParameterValue", "SenderFault": true,
		"Message": "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"}
	_, q := wired(t, func(_ string, _ int, in input) (int, string, any) {
		fails := map[string]entry{"4": beyond}
		for id, e := range gone {
			fails[id] = e
		}
		return 200, "", allBut(in, fails)
	})
	ds := make([]queue.Delivery, 6)
	for verb, errs := range map[string][]error{
		"extend": q.Extend(t.Context(), ds, time.Minute),
		"delete": q.Delete(t.Context(), ds),
	} {
		for i := range gone {
			if err := errs[i[0]-'0']; !errors.Is(err, queue.ErrGone) {
				t.Errorf("%s, code %s: %v, want ErrGone", verb, gone[i]["Code"], err)
			}
		}
		if errs[4] == nil || errors.Is(errs[4], queue.ErrGone) {
			t.Errorf("%s beyond the limit: %v, want an error that is not ErrGone", verb, errs[4])
		}
		if errs[5] != nil {
			t.Errorf("%s of a good entry: %v", verb, errs[5])
		}
	}
}

func TestWholeCallsAreTriedAgainWhereSQSIsOverloaded(t *testing.T) {
	for _, code := range []string{"RequestThrottled", "OverLimit", "KmsThrottled"} {
		t.Run(code, func(t *testing.T) {
			w, q := wired(t, func(_ string, call int, in input) (int, string, any) {
				if call == 1 {
					return 400, code, nil
				}
				return 200, "", allBut(in, nil)
			})
			if err := errors.Join(q.Send(t.Context(), messages(1))...); err != nil {
				t.Errorf("send: %v", err)
			}
			if w.calls["SendMessageBatch"] != 2 {
				t.Errorf("%d calls, want 2", w.calls["SendMessageBatch"])
			}
		})
	}
}

// The calls of every run cost a fraction of what the SDK's client takes.
func TestCallsThatGoWellAreNotMadeByTheSDK(t *testing.T) {
	failed := false
	w, q := wired(t, func(op string, _ int, in input) (int, string, any) {
		switch {
		case failed:
			failed = false
			return 503, "ServiceUnavailable", nil
		case op == "ReceiveMessage":
			return 200, "", entry{"Messages": []entry{{"MessageId": "m", "ReceiptHandle": "h", "Body": "{}", "Attributes": entry{"MessageGroupId": "acme"}}}}
		}
		return 200, "", allBut(in, nil)
	})
	send := func() error { return q.Send(t.Context(), messages(1))[0] }
	receive := func() error {
		ds, err := q.Receive(t.Context(), queue.Poll{Max: 10, Visibility: time.Minute})
		if len(ds) != 1 || ds[0].MessageID != "m" || ds[0].Group != "acme" {
			t.Errorf("received %+v", ds)
		}
		return err
	}
	remove := func() error { return q.Delete(t.Context(), []queue.Delivery{{Handle: "h"}})[0] }
	for name, call := range map[string]func() error{"send": send, "receive": receive, "delete": remove} {
		w.bySDK = 0
		if err := call(); err != nil || w.bySDK != 0 {
			t.Errorf("%s: %d calls of the SDK, %v", name, w.bySDK, err)
		}
		failed = true
		if err := call(); err != nil || w.bySDK != 1 {
			t.Errorf("%s that fails first: %d calls of the SDK, %v", name, w.bySDK, err)
		}
	}
}

func TestACallThatFailsFailsItsEntriesOnly(t *testing.T) {
	w, q := wired(t, func(_ string, _ int, in input) (int, string, any) {
		if in.Entries[0].Handle == "h10" {
			return 400, "UnsupportedOperation", nil
		}
		return 200, "", allBut(in, nil)
	})
	ds := make([]queue.Delivery, 25)
	for i := range ds {
		ds[i].Handle = fmt.Sprint("h", i)
	}
	for i, err := range q.Delete(t.Context(), ds) {
		if failed := i >= 10 && i < 20; failed != (err != nil) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	if w.calls["DeleteMessageBatch"] != 4 { // the one that fails is made again by the SDK
		t.Errorf("calls of %v entries, want 4", w.sizes)
	}
}

func TestAPollUnderWayIsLetFinish(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, q := wired(t, func(string, int, input) (int, string, any) {
		cancel() // ctx ends while SQS is about to answer
		return 200, "", entry{"Messages": []entry{{"MessageId": "m", "ReceiptHandle": "h", "Body": "x", "MD5OfBody": "9dd4e461268c8034f5c8564e155c67a6"}}}
	})
	ds, err := q.Receive(ctx, queue.Poll{Max: 1, Wait: time.Second, Visibility: time.Minute})
	if err != nil || len(ds) != 1 {
		t.Errorf("receive = %v, %v, want the delivery that SQS handed out", ds, err)
	}
}

func TestDurationsAreRoundedUpAndZeroStaysZero(t *testing.T) {
	var got []int
	_, q := wired(t, func(_ string, _ int, in input) (int, string, any) {
		got = append(got, *in.Entries[0].Visibility)
		return 200, "", allBut(in, nil)
	})
	for _, d := range []time.Duration{0, time.Millisecond, time.Second, 1500 * time.Millisecond} {
		q.Extend(t.Context(), make([]queue.Delivery, 1), d)
	}
	if fmt.Sprint(got) != "[0 1 1 2]" {
		t.Errorf("visibilities of %v seconds, want [0 1 1 2]", got)
	}
}

func TestOpenFailsWhereThereIsNoQueue(t *testing.T) {
	if _, err := sqsqueue.Open(t.Context(), clientOf(mototest.URL), "nowhere"); err == nil || !strings.Contains(err.Error(), "open queue nowhere") {
		t.Errorf("open = %v", err)
	}
}
