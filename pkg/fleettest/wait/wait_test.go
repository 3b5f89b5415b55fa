package wait

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSoonIsTrueFromTheFirstAnswerThatIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !Soon(time.Minute, func() bool { return time.Since(began) >= time.Second }) {
			t.Fatal("what comes after a second does not come within a minute")
		}
		if took := time.Since(began); took > 1050*time.Millisecond {
			t.Errorf("it was noticed after %s", took)
		}
	})
}

func TestSoonIsFalseOnceTheLimitIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, asked := time.Now(), 0
		if Soon(10*time.Second, func() bool { asked++; return false }) {
			t.Error("what is never true came")
		}
		if took := time.Since(began); took != 10*time.Second || asked < 100 {
			t.Errorf("it gave up after %s and %d questions", took, asked)
		}
	})
}
