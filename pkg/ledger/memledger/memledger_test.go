package memledger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger/ledgertest"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
)

func TestContract(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, test func(*testing.T, ledgertest.Env)) {
		synctest.Test(t, func(t *testing.T) {
			l := memledger.New(memledger.Config{Keep: ledgertest.Keep, Remember: ledgertest.Remember})
			test(t, ledgertest.Env{Ledger: l, Pass: time.Sleep, Flush: l.Forget})
		})
	})
}
