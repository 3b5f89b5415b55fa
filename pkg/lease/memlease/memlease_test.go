package memlease_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/lease/leasetest"
	"github.com/scriptfleet/scriptfleet/pkg/lease/memlease"
)

func TestContract(t *testing.T) {
	leasetest.Run(t, func(t *testing.T, test func(*testing.T, leasetest.Env)) {
		synctest.Test(t, func(t *testing.T) {
			m := memlease.New()
			test(t, leasetest.Env{Leases: m, Pass: time.Sleep, Flush: m.Flush})
		})
	})
}
