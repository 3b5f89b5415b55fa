//go:build linux

// Package sandbox starts a process behind as many walls as this machine
// supports, and reports which ones those are. Scripts of tenants and builds of
// their requirements run only in it.
//
// # What holds inside
//
// With every wall (see [Report] for those of this machine):
//
//   - The process and its descendants are in their own PID namespace. Its init,
//     ours, ends when its starter ends, also by kill -9. No process survives
//     [Process.Kill].
//   - The root is a read-only tmpfs. It contains the system's /usr and libraries,
//     certificates and name resolution (bound read-only), the caller's binds, a
//     private /tmp of limited size, a /proc of the namespace, and five harmless
//     devices. The host's other paths do not exist in it.
//   - The process runs as uid 1000. If the starter is root, the uid on the host
//     is one that owns no files. The process has no capabilities, and
//     no_new_privs, so no setuid file raises its privileges.
//   - A seccomp filter refuses the system calls that mount, trace, load modules
//     or make namespaces. Landlock also refuses writes outside /tmp and the
//     writable binds, abstract sockets, and signals to the outside.
//   - A cgroup limits the memory of all processes together; without one,
//     RLIMIT_DATA limits each process. rlimits bound processes, open files and
//     file sizes. The size of /tmp is separate from the memory (see warden).
//   - The environment is exactly Spec.Env. Only the caller's file descriptors
//     are open.
//
// With Spec.Network the process shares the host's network: it reaches the
// internet, and the host's loopback ports too. Every service that listens there
// must ask for a signature or a password.
//
// Without a mount namespace nothing can be bound. Binds then stay at their
// paths on the host (see [Bind.Path]), and only Landlock protects the host's
// other files. The process cannot run a file that its uid cannot reach, such as
// an interpreter below a private home. Without a PID namespace the init kills
// the descendants as their subreaper; the seccomp filter keeps the process from
// signalling the init.
//
// # How it starts
//
// The program starts itself again as PID 1 of the new namespaces (package
// inside, which takes over before main). That init makes the root, applies the walls to one locked thread, starts the
// process from that thread, reaps ended processes, and answers its starter over
// a socket: freeze, thaw, exit. A process that is started with Spec.Open may wait
// for its last binds; until then the host's root is mounted where the init alone
// can reach it, if the starter is root. The walls are set by direct system calls: a
// library that applies them to all threads hangs in a new PID namespace.
package sandbox

import (
	"io"
	"os"
	"path/filepath"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// Report tells which walls this machine supports.
type Report = inside.Report

// Bind makes a directory or file of the host visible inside.
type Bind struct {
	Source string // absolute, on the host
	Target string // absolute, inside; empty: the same as Source

	// Writable makes the sandbox the owner of a directory. If the starter is
	// root, the directory is given to the sandbox's uid on the host; all
	// sandboxes whose first writable bind is this directory have the same uid.
	Writable bool
}

// Path is the bind's path inside: Target, or Source if this machine has no
// mount namespaces.
func (b Bind) Path() string {
	if b.Target == "" || !Probe().MountNamespace {
		return b.Source
	}
	return b.Target
}

// wire are binds as the init gets them.
func wire(binds []Bind) []inside.Bind {
	all := make([]inside.Bind, len(binds))
	for n, b := range binds {
		all[n] = inside.Bind(b)
	}
	return all
}

// Spec describes a process: what to start, what it sees, and its limits. A
// limit of zero means the default.
type Spec struct {
	Path string   // absolute path of the executable, the same outside and inside
	Args []string // without the program's name
	Env  []string // the complete environment; nothing is inherited
	Dir  string   // working directory, inside; default /tmp

	// Binds are added to the system's read-only paths (/usr, /lib…,
	// certificates, name resolution).
	Binds []Bind

	// Panicked is told of a panic of ours beside the process, which kills it and
	// is Exit.Err. It may be nil.
	Panicked func(*panics.Error)

	// Open starts the process before all its binds and its limit of memory are
	// known: the root stays open until Process.Complete. The program must not run
	// any code of a tenant until then. It needs a mount namespace.
	Open bool

	Network      bool  // share the host's network; otherwise loopback only
	MemoryBytes  int64 // of all processes together; 0: no limit
	MaxProcesses int   // processes and threads; default 256
	MaxFileBytes int64 // size of one file; default 1 GiB
	MaxOpenFiles int   // default 1024
	TmpBytes     int64 // size of the private /tmp, separate from the memory; default 512 MiB

	ExtraFiles     []*os.File // file descriptors 3, 4, … inside
	Stdin          io.Reader  // nil: none
	Stdout, Stderr io.Writer  // nil: discarded
}

// withDefaults fills in limits, and resolves links in the sources of binds:
// inside they could not be followed.
func (s Spec) withDefaults() Spec {
	s.MaxProcesses = orDefault(s.MaxProcesses, 256)
	s.MaxFileBytes = orDefault(s.MaxFileBytes, 1<<30)
	s.MaxOpenFiles = orDefault(s.MaxOpenFiles, 1024)
	s.TmpBytes = orDefault(s.TmpBytes, 512<<20)
	if s.Dir == "" {
		s.Dir = "/tmp"
	}
	binds := make([]Bind, len(s.Binds))
	for n, b := range s.Binds {
		if b.Target == "" {
			b.Target = b.Source
		}
		if real, err := filepath.EvalSymlinks(b.Source); err == nil {
			b.Source = real
		}
		binds[n] = b
	}
	s.Binds = binds
	return s
}

func orDefault[T int | int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Exit says how a process ended.
type Exit struct {
	Code        int    // exit status; -1 after a signal
	Signal      string // such as killed or segmentation fault; empty after an exit
	OutOfMemory bool   // it was killed because of its memory limit
	PeakMemory  int64  // upper bound in bytes; 0 if it was not measured
	Err         error  // a failure of the sandbox itself
}

// Success tells whether the process exited with status 0.
func (e Exit) Success() bool { return e.Err == nil && e.Code == 0 && e.Signal == "" }
