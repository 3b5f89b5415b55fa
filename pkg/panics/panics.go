// Package panics turns a panic into an error of the work that caused it. The
// process and all other work in it go on.
//
// Each part of the platform has a [Guard], which logs and counts its panics. A
// goroutine that handles the work of one tenant calls Guard.Catch as its
// outermost step, and fails that work with the error. The text of the error has
// the ID under which the panic is in the log:
//
//	if p := guard.Catch(func() { v = w.work(h) }, h.fields); p != nil {
//		v = failed(p)
//	}
//
// A goroutine that does not belong to one run is a Guard.Loop. Goroutines that
// do parts of one work are a [Group]: if one panics, the goroutine that waits
// for them panics.
//
// After a panic only deferred calls run: a mutex that is unlocked without defer
// stays locked. Some faults of a Go program cannot be caught: an exhausted
// stack or heap, concurrent writes of a map, a deadlock.
package panics

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"runtime/debug"
)

// Error is a panic that was caught. Its text contains only the ID, so it may be
// shown to a tenant. Value and Stack are for the log.
type Error struct {
	ID    string
	Value string // the argument of panic as text, at most maxValue bytes
	Stack string // of the goroutine, with the line that panicked
}

func (e *Error) Error() string {
	return "an internal error happened, which the platform's log explains under the id " + e.ID
}

// maxValue bounds a Value, since it may contain data that a tenant sent.
const maxValue = 4 << 10

// Catch calls f. It returns nil if f returns, and the panic if f panics. If f
// panics with an *Error, Catch returns that one, with its ID and stack.
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
