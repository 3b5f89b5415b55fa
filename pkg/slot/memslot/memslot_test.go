package memslot

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/slot"
	"github.com/scriptfleet/scriptfleet/pkg/slot/slottest"
)

func TestContract(t *testing.T) {
	slottest.Run(t, func(t *testing.T, test func(*testing.T, slottest.Env)) {
		synctest.Test(t, func(t *testing.T) {
			s := New()
			test(t, slottest.Env{Slots: s, Pass: time.Sleep, Flush: s.Forget})
		})
	})
}

func TestScopesOfDeadHoldersGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		for i := range 10_000 {
			if _, err := s.Take(t.Context(), []slot.Ask{{Scope: fmt.Sprint(i), Owner: "dead", Cap: 1}}, time.Second); err != nil {
				t.Fatal(err)
			}
			if i%1000 == 999 {
				time.Sleep(2 * time.Second)
			}
		}
		if n := len(s.scopes); n > 3000 {
			t.Errorf("%d scopes are left of which nobody has a slot", n)
		}
	})
}
