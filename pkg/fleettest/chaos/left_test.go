package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// settle waits until the deliveries of answered runs are deleted too.
func (f *fleet) settle() {
	f.t.Helper()
	var found []string
	if !wait.Soon(within, func() bool { found = f.leftInQueues(); return len(found) == 0 }) {
		f.t.Fatalf("all runs have results, and still there is %v", found)
	}
}

func (f *fleet) leftInQueues() (found []string) {
	client := sqsqueue.NewClient(f.config)
	for _, name := range f.names.All() {
		q, err := sqsqueue.Open(f.t.Context(), client, name)
		if err != nil {
			return []string{err.Error()}
		}
		depth, err := q.Depth(f.t.Context())
		if err != nil {
			return []string{err.Error()}
		}
		if depth.Total() > 0 {
			found = append(found, fmt.Sprintf("%d on %s (%d in flight)", depth.Total(), name, depth.InFlight))
		}
	}
	return found
}

// leftInRedis lists leases, slots, open runs and claims.
func (f *fleet) leftInRedis() (found []string) {
	options, err := redis.ParseURL(f.redisURL)
	if err != nil {
		return []string{err.Error()}
	}
	client := redis.NewClient(options)
	defer client.Close()
	keys, err := client.Keys(f.t.Context(), "*").Result()
	if err != nil {
		return []string{err.Error()}
	}
	for _, key := range keys {
		if what := leftUnder(f.t.Context(), client, key); what != "" {
			found = append(found, what)
		}
	}
	return found
}

func leftUnder(ctx context.Context, client *redis.Client, key string) string {
	switch {
	case strings.Contains(key, ":lease:") && !strings.HasSuffix(key, ":fence"):
		return key
	case strings.HasSuffix(key, ":open"):
		return fmt.Sprintf("%d of %s", client.ZCard(ctx, key).Val(), key)
	case strings.Contains(key, ":slot:"): // a sorted set by expiry
		now := fmt.Sprint(time.Now().UnixMilli())
		if n := client.ZCount(ctx, key, now, "+inf").Val(); n > 0 {
			return fmt.Sprintf("%d of %s", n, key)
		}
	case strings.Contains(key, ":runs:"): // its first letter is the state
		record := client.Get(ctx, key).Val()
		if strings.HasPrefix(record, "c") || strings.HasPrefix(record, "i") {
			return "claim " + key + " as " + strings.ReplaceAll(record, "\n", " ")
		}
	}
	return ""
}

// built counts the functions and the layer versions in Lambda.
func (f *fleet) built(t *testing.T) (functions int, layers int64) {
	t.Helper()
	client := lambda.NewFromConfig(f.config)
	fs, err := client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	if err != nil {
		t.Fatal(err)
	}
	ls, err := client.ListLayers(t.Context(), &lambda.ListLayersInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ls.Layers {
		layers += l.LatestMatchingVersion.Version
	}
	return len(fs.Functions), layers
}
