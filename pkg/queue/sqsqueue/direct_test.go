package sqsqueue_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// A direct call that fails is made again by the SDK's client, so that a name that
// SQS does not know would only show as twice the calls.
func TestDirectCallsSayWhatTheSDKSays(t *testing.T) {
	direct, bySDK := map[string]any{}, map[string]any{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		var in any
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		if r.Header.Get("Amz-Sdk-Invocation-Id") == "" {
			direct[op] = in
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		bySDK[op] = in
		_ = json.NewEncoder(rw).Encode(entry{
			"QueueUrl": "http://127.0.0.1/000000000000/wire", "Attributes": entry{"MaximumMessageSize": "1048576"},
		})
	}))
	t.Cleanup(server.Close)
	q, err := sqsqueue.Open(t.Context(), clientOf(server.URL), "wire")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = q.Receive(t.Context(), queue.Poll{Max: 3, Wait: time.Second, Visibility: time.Minute})
	_ = q.Send(t.Context(), []queue.Message{{Body: []byte("b"), Delay: time.Second, Group: "g", TraceHeader: "h", Attributes: map[string]string{"a": "v"}}})
	_ = q.Delete(t.Context(), []queue.Delivery{{Handle: "h"}})
	for _, op := range []string{"ReceiveMessage", "SendMessageBatch", "DeleteMessageBatch"} {
		if direct[op] == nil || !reflect.DeepEqual(direct[op], bySDK[op]) {
			t.Errorf("%s says\n%v, the SDK's\n%v", op, direct[op], bySDK[op])
		}
	}
}
