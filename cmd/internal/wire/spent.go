package wire

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"
)

// spent counts what a process costs besides its own CPU and memory: requests to
// SQS, and round trips to Redis.
type spent struct {
	requests map[string]prometheus.Counter // by operation
	billed   prometheus.Counter
	trips    prometheus.Counter
}

// operations of SQS, a closed set of labels; any other is otherOperation.
var operations = []string{
	"ReceiveMessage", "SendMessage", "SendMessageBatch", "DeleteMessage", "DeleteMessageBatch",
	"ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "GetQueueAttributes", "GetQueueUrl", otherOperation,
}

const (
	otherOperation = "other"
	// billedBytes is what SQS bills as one request.
	billedBytes = 64 << 10
)

func newSpent(reg prometheus.Registerer) *spent {
	f := promauto.With(reg)
	requests := f.NewCounterVec(prometheus.CounterOpts{
		Name: "scriptfleet_sqs_requests_total", Help: "Requests to SQS, those that the SDK repeats included.",
	}, []string{"operation"})
	s := &spent{
		requests: map[string]prometheus.Counter{},
		billed: f.NewCounter(prometheus.CounterOpts{
			Name: "scriptfleet_sqs_billed_requests_total", Help: "Requests to SQS as they are billed: one for each 64 KiB.",
		}),
		trips: f.NewCounter(prometheus.CounterOpts{
			Name: "scriptfleet_redis_round_trips_total", Help: "Round trips to Redis: a pipeline is one, a script is one.",
		}),
	}
	for _, o := range operations {
		s.requests[o] = requests.WithLabelValues(o)
	}
	return s
}

// sqs counts the requests of a client.
func (s *spent) sqs(o *sqs.Options) { o.HTTPClient = countedSQS{o.HTTPClient, s} }

type countedSQS struct {
	sqs.HTTPClient
	spent *spent
}

func (c countedSQS) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !slices.Contains(operations, operation) {
		operation = otherOperation
	}
	c.spent.requests[operation].Inc()
	size := r.ContentLength
	resp, err := c.HTTPClient.Do(r)
	if err == nil {
		size = max(size, resp.ContentLength)
	}
	c.spent.billed.Add(float64(max(1, (size+billedBytes-1)/billedBytes)))
	return resp, err
}

// The methods of the client's hook.

func (s *spent) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *spent) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.trips.Inc()
		return next(ctx, cmd)
	}
}

func (s *spent) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		s.trips.Inc()
		return next(ctx, cmds)
	}
}
