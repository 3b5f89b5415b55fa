// Package panics turns a panic into an error of the one piece of work that
// caused it, so that the process and everything else in it go on.
//
// Each goroutine that handles one tenant's work calls [Catch] as its outermost
// step, fails that work with the error's ID, and logs the error's Value and
// Stack under the same ID:
//
//	if p := panics.Catch(func() { v = w.work(h) }); p != nil {
//		log.Error("panic", zap.String("id", p.ID), zap.String("panic", p.Value), zap.String("stack", p.Stack))
//		v = failed(p.ID)
//	}
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

// Catch calls f. It returns nil when f returns, and the panic when f panics.
func Catch(f func()) (caught *Error) {
	defer func() {
		if v := recover(); v != nil {
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
