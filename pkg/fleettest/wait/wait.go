// Package wait waits for a condition, in tests outside of a bubble of
// testing/synctest. Such tests never wait for a fixed time.
package wait

import (
	"testing"
	"time"
)

// Until waits until ok returns true. After the limit it ends the test with the
// message otherwise, such as "no result of run-1". Only a failure takes as long
// as the limit: a success takes a fraction of it, also on a loaded machine.
func Until(t testing.TB, limit time.Duration, otherwise string, ok func() bool) {
	t.Helper()
	if !Soon(limit, ok) {
		t.Fatalf("%s within %s", otherwise, limit)
	}
}

// Soon tells whether ok returned true within the limit. It calls ok after 1 ms,
// and then at growing intervals of up to 50 ms.
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
