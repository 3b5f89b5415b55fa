package prices

import (
	"math"
	"testing"
)

// 5.8 requests a run cost $2.32 without the surcharge for fair queues.
func TestACostIsTheCountTimesThePrice(t *testing.T) {
	p := List()
	p.SQSFairMillion = 0
	c := p.Cost(Use{Rate: 200, Requests: 5.8, CPU: 1.8, Seconds: FunctionSeconds})
	if math.Abs(c.SQS-2.32) > 1e-9 || math.Abs(c.Lambda-(0.2+12500*p.LambdaGBSecond)) > 1e-9 {
		t.Errorf("SQS costs %g, Lambda %g", c.SQS, c.Lambda)
	}
	// 69 million runs in four days, of 136 bytes each, in three quarters of it.
	if c.Node.Type != "cache.r7g.large" || c.Shards != 1 {
		t.Errorf("%d nodes of %s", c.Shards, c.Node.Type)
	}
}

func TestRedisIsShardedWhereNoNodeIsLargeEnough(t *testing.T) {
	p := List()
	u := Use{Rate: 200_000}
	c := p.Cost(u)
	if float64(c.Shards)*c.Node.GB < u.RedisGB() || float64(c.Shards-1)*c.Node.GB >= u.RedisGB() {
		t.Errorf("%d nodes of %g GB for %g GB", c.Shards, c.Node.GB, u.RedisGB())
	}
}
