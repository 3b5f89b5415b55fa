// Package wait is how a test outside a bubble of testing/synctest waits: for a
// condition, and never for a fixed time.
package wait

import (
	"testing"
	"time"
)

// Until waits until ok, or ends the test with what is the case otherwise, such
// as "no result of run-1". The limit is there for what never comes: what does
// come takes a fraction of it, also on a busy machine.
func Until(t testing.TB, limit time.Duration, otherwise string, ok func() bool) {
	t.Helper()
	if !Soon(limit, ok) {
		t.Fatalf("%s within %s", otherwise, limit)
	}
}

// Soon tells whether ok came true within the limit. It asks after 1 ms, then
// ever more seldom, and at last every 50 ms.
func Soon(limit time.Duration, ok func() bool) bool {
	late := time.After(limit)
	for pause := time.Millisecond; !ok(); pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-late:
			return ok()
		}
	}
	return true
}
