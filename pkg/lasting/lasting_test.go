package lasting

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestAFaultIsToldWhenItBeginsNowAndThenAndWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, log := observer.New(zap.InfoLevel)
		f := New(zap.New(core), "away", "answers again")
		told := func(want ...string) {
			t.Helper()
			var got []string
			for _, e := range log.TakeAll() {
				m := e.ContextMap()
				got = append(got, fmt.Sprint(e.Level, " ", e.Message, " ", m["times"], " ", m["for"], " ", m["queue"]))
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		f.Over()
		told()
		for range 12 * 60 { // twelve minutes
			f.Met(errors.New("refused"), zap.String("queue", "q"))
			time.Sleep(time.Second)
		}
		told("warn away <nil> <nil> q", "warn away 301 5m0s q", "warn away 601 10m0s q")
		f.Over()
		f.Over()
		told("info answers again 720 12m0s <nil>")
		f.Met(errors.New("refused"))
		f.Over()
		told("warn away <nil> <nil> <nil>", "info answers again 1 0s <nil>")
	})
}
