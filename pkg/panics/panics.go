// Package panics turns a panic into an error of the one piece of work that
// caused it, so that the process and everything else in it go on.
//
// Each part of the platform has a [Guard], which logs and counts its panics. A
// goroutine that handles one tenant's work calls Guard.Catch as its outermost
// step, and fails that work with the error, whose text bears the ID that the log
// has too:
//
//	if p := guard.Catch(func() { v = w.work(h) }, h.fields); p != nil {
//		v = failed(p)
//	}
//
// A goroutine that belongs to no single run is a Guard.Loop. Goroutines that do
// parts of one piece of work are a [Group]: their panics become those of the
// goroutine that waits for them.
//
// A panic releases only what a defer releases: a mutex that is unlocked without
// one stays locked. Some faults of a Go program cannot be caught: a stack or
// heap that is exhausted, a map that is written concurrently, a deadlock.
package panics

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"runtime/debug"
)

// Error is a panic that was caught. Its text names nothing but the ID, and may
// be shown to a tenant; Value and Stack are for the log.
type Error struct {
	ID    string
	Value string // what panic was called with, at most maxValue bytes
	Stack string // of the goroutine, the line that panicked included
}

func (e *Error) Error() string {
	return "an internal error happened, which the platform's log explains under the id " + e.ID
}

// maxValue bounds a Value: a panic may carry what a tenant sent.
const maxValue = 4 << 10

// Catch calls f. It returns nil when f returns, and the panic when f panics. A
// panic that was caught before keeps its ID and its stack.
func Catch(f func()) (caught *Error) {
	defer func() {
		v := recover()
		if before, ok := v.(*Error); ok {
			caught = before
		} else if v != nil {
			caught = &Error{ID: newID(), Value: text(v), Stack: string(debug.Stack())}
		}
	}()
	f()
	return nil
}

func text(v any) string {
	s := fmt.Sprint(v)
	return s[:min(len(s), maxValue)]
}

func newID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
