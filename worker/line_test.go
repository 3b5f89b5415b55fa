package worker

import (
	"sync"
	"testing"
)

func TestCallsOfALineAreMadeOneAfterTheOther(t *testing.T) {
	var l line
	var atOnce, made int // guarded by the line
	var done sync.WaitGroup
	for range 1000 {
		done.Add(1)
		l.add(func() {
			defer done.Done()
			if atOnce++; atOnce > 1 {
				t.Error("two calls are made at once")
			}
			made++
			atOnce--
		})
	}
	done.Wait()
	if made != 1000 {
		t.Errorf("%d of 1000 calls were made", made)
	}
}
