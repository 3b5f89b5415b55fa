package fairness

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/redis/go-redis/v9"
)

// counted counts requests of a site's fleets to SQS and Redis.
type counted struct {
	mu       sync.Mutex
	requests map[string]int // to SQS, by operation

	trips  atomic.Int64  // round trips to Redis
	server *redis.Client // nil if an in-memory ledger takes the place of Redis
}

// client is a copy of a client whose HTTP requests are counted, the SDK's own
// retries included.
func (c *counted) client(of *awssqs.Client) *awssqs.Client {
	o := of.Options()
	o.HTTPClient = counting{o.HTTPClient, c}
	return awssqs.New(o)
}

type counting struct {
	awssqs.HTTPClient
	counted *counted
}

func (h counting) Do(r *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	h.counted.mu.Lock()
	if h.counted.requests == nil {
		h.counted.requests = map[string]int{}
	}
	h.counted.requests[op]++
	h.counted.mu.Unlock()
	return h.HTTPClient.Do(r)
}

// The methods of go-redis's hook: a command and a pipeline are one round trip
// each.

func (c *counted) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.trips.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.trips.Add(1)
		return next(ctx, cmds)
	}
}
