package memlimit_test

import (
	"testing"
	"testing/synctest"

	"github.com/scriptfleet/scriptfleet/pkg/limit"
	"github.com/scriptfleet/scriptfleet/pkg/limit/limittest"
	"github.com/scriptfleet/scriptfleet/pkg/limit/memlimit"
)

func TestContract(t *testing.T) {
	limittest.Run(t, func(t *testing.T, test func(*testing.T, limittest.New)) {
		synctest.Test(t, func(t *testing.T) {
			test(t, func(_ *testing.T, r limit.Rate) limit.Limiter { return memlimit.New(r) })
		})
	})
}
