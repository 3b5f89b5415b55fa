package wire

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// answers is an HTTP client whose answers have bodies of this size.
type answers int64

func (size answers) Do(*http.Request) (*http.Response, error) {
	return &http.Response{ContentLength: int64(size), Body: io.NopCloser(strings.NewReader(""))}, nil
}

func TestRequestsToSQSAreCountedAsTheyAreBilled(t *testing.T) {
	s := newSpent(prometheus.NewRegistry())
	for _, c := range []struct {
		operation      string
		request        int64
		answer         answers
		billed, within float64
	}{
		{"SendMessageBatch", 100, 100, 1, 1},
		{"SendMessageBatch", 64<<10 + 1, 100, 2, 2},
		{"ReceiveMessage", 100, 1 << 20, 16, 1},
		{"ReceiveMessage", 100, -1, 1, 2},
		{"ListQueues", 100, 100, 1, 1},
	} {
		before := testutil.ToFloat64(s.billed)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sqs", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = c.request
		r.Header.Set("X-Amz-Target", "AmazonSQS."+c.operation)
		answer, err := countedSQS{c.answer, s}.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := testutil.ToFloat64(s.billed) - before; got != c.billed {
			t.Errorf("%s of %d and %d bytes: %.0f billed, not %.0f", c.operation, c.request, c.answer, got, c.billed)
		}
		counter := s.requests[c.operation]
		if counter == nil {
			counter = s.requests[otherOperation]
		}
		if got := testutil.ToFloat64(counter); got != c.within {
			t.Errorf("%s: %.0f counted, not %.0f", c.operation, got, c.within)
		}
	}
}
