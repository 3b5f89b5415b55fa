package memledger

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger/ledgertest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestContract(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, test func(*testing.T, ledgertest.Env)) {
		synctest.Test(t, func(t *testing.T) {
			l := New(Config{Keep: ledgertest.Keep, Remember: ledgertest.Remember, Recent: ledgertest.Recent, RecentFor: ledgertest.RecentFor})
			test(t, ledgertest.Env{Ledger: l, Pass: time.Sleep, Flush: l.Forget})
		})
	})
}

func TestIdentitiesGoAwayAfterTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Remember: time.Hour})
		for i := range 10_000 {
			if err := l.Published(t.Context(), []run.Key{run.Key(fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
			if i%1000 == 999 {
				time.Sleep(2 * time.Hour)
			}
		}
		if n := len(l.records); n > 3000 {
			t.Errorf("%d identities are left, of the last 1000", n)
		}
	})
}
