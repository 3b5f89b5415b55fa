package memratelimit_test

import (
	"testing"
	"testing/synctest"

	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/memratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/ratelimittest"
)

func TestContract(t *testing.T) {
	ratelimittest.Run(t, inBubble)
	ratelimittest.RunOrder(t, inBubble)
}

func inBubble(t *testing.T, test func(*testing.T, ratelimittest.New)) {
	synctest.Test(t, func(t *testing.T) {
		test(t, func(_ *testing.T, r ratelimit.Rate) ratelimit.Limiter { return memratelimit.New(r) })
	})
}
