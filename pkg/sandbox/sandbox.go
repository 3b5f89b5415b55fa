// Package sandbox starts a process walled in as strongly as this machine
// allows, and says how strong that is.
package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
)

// Main is the hook that the first line of main, and of TestMain, must call in
// every program that starts sandboxes. A sandbox begins as this same program
// started again: in that child Main sets the walls up and never returns;
// everywhere else it returns at once.
func Main() {}

// Bind makes a directory or file of the host visible inside.
type Bind struct {
	Source   string // absolute, on the host
	Target   string // absolute, inside; empty means the same as Source
	Writable bool
}

// Path is where the bind is found inside: Target, or Source where this machine
// gives no mount namespace.
func (b Bind) Path() string { return b.Target }

// Spec says what to start, what it sees and how much it may take. The zero
// value of a limit means the default.
type Spec struct {
	Path string   // absolute path of the executable, the same outside and inside
	Args []string // without the name of the program
	Env  []string // the whole environment; nothing is inherited
	Dir  string   // working directory, inside; default /tmp

	// Binds are visible besides the system's own read-only paths (/usr, /lib…,
	// certificates, name resolution).
	Binds []Bind

	Network      bool  // egress through the host's network; without, only loopback
	MemoryBytes  int64 // of all its processes together; 0 means no limit
	MaxProcesses int   // processes and threads; default 256
	MaxFileBytes int64 // size of one file; default 1 GiB
	MaxOpenFiles int   // default 1024
	TmpBytes     int64 // size of the private /tmp; default 512 MiB

	ExtraFiles     []*os.File // file descriptors 3, 4, … inside
	Stdin          io.Reader  // nil means none
	Stdout, Stderr io.Writer  // nil means discarded
}

// Process is one that was started, with all that descends from it.
type Process struct{}

// Start starts the process. When ctx ends, it is killed as by Kill.
func Start(ctx context.Context, s Spec) (*Process, error) {
	return nil, errors.New("sandbox: not available")
}

// Wait returns once the process and all its descendants are gone. Later calls
// return the same.
func (p *Process) Wait() Exit { return Exit{} }

// Kill kills the process and all its descendants, those that called setsid
// too, and returns once they are gone.
func (p *Process) Kill() {}

// Exit says how a process ended.
type Exit struct {
	Code        int    // of exit; -1 where a signal ended it
	Signal      string // such as killed or segmentation fault; empty where it exited
	OutOfMemory bool   // the kernel killed it for its memory limit
	PeakMemory  int64  // bytes, at most, as far as it was measured
	Err         error  // the sandbox itself failed
}

// Success tells whether the process exited with 0.
func (e Exit) Success() bool { return e.Err == nil && e.Code == 0 && e.Signal == "" }
