//go:build linux

// Package sandbox starts a process walled in as strongly as this machine
// allows, and says how strong that is. Scripts of tenants and the builds of
// their requirements run in it and nowhere else.
//
// # What holds inside
//
// With every wall up (see [Report] for those that this machine gives):
//
//   - The process and all its descendants live in a PID namespace of their own,
//     under an init of ours that ends when its starter ends, kill -9 included.
//     Nothing survives [Process.Kill], whatever it called.
//   - The root is a read-only tmpfs with the system's /usr and libraries,
//     certificates and name resolution bound read-only, the caller's binds, a
//     private bounded /tmp, /proc of the namespace only and five harmless
//     devices. No path of the host can be named.
//   - It runs as uid 1000, which, where the starter is root, is a uid of the
//     host that owns nothing; without capabilities, with no_new_privs, so that
//     no setuid file raises it.
//   - A seccomp filter refuses the system calls that mount, trace, load, or
//     make namespaces; Landlock refuses writes outside /tmp and the writable
//     binds a second time, abstract sockets and signals to the outside.
//   - Memory is bounded for all processes together by a cgroup, else per
//     process by RLIMIT_DATA; processes, files and file sizes by rlimits. /tmp
//     has its own size, beside the memory (see watchMemory).
//   - The environment is what the caller gave. No file descriptor but the
//     caller's is open.
//
// With Network the host's network is shared: the way to the internet is open,
// and so are the host's loopback ports. Whatever listens there must ask for a
// signature or a password.
//
// Without a mount namespace nothing can be bound: binds are found where they lie
// (see [Bind.Path]), Landlock alone keeps the rest of the host's files from being
// read, and what the sandbox's uid may not reach, such as an interpreter below a
// private home, it cannot run. Without a PID namespace the init kills what
// descends from it, as a subreaper that the filter keeps from being signalled.
//
// # How it starts
//
// The program starts itself again as PID 1 of the new namespaces ([Main]). That
// init builds the root, puts the walls on one locked thread (system calls made
// directly: a library that applies them to all threads hangs in a new PID
// namespace), starts the process from it, reaps, and answers its starter over a
// socket: freeze, thaw, exit.
package sandbox

import (
	"io"
	"os"
	"path/filepath"
)

// Main is the hook that the first line of main, and of TestMain, must call in
// every program that starts sandboxes. A sandbox begins as this same program
// started again: in that child Main sets the walls up and never returns;
// everywhere else it returns at once.
func Main() {
	if len(os.Args) == 1 && os.Args[0] == initName {
		runInit()
	}
}

// initName is the program name by which Main knows that it is the child.
const initName = "scriptfleet-sandbox"

// Bind makes a directory or file of the host visible inside.
type Bind struct {
	Source string // absolute, on the host
	Target string // absolute, inside; empty means the same as Source

	// Writable gives a directory to the sandbox: where the starter is root, the
	// directory's owner becomes the sandbox's uid, which is the same for every
	// sandbox whose first writable bind is this directory.
	Writable bool
}

// Path is where the bind is found inside: Target, or Source where this machine
// gives no mount namespace.
func (b Bind) Path() string {
	if b.Target == "" || !Probe().MountNamespace {
		return b.Source
	}
	return b.Target
}

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
	TmpBytes     int64 // size of the private /tmp, beside the memory; default 512 MiB

	ExtraFiles     []*os.File // file descriptors 3, 4, … inside
	Stdin          io.Reader  // nil means none
	Stdout, Stderr io.Writer  // nil means discarded
}

// withDefaults fills in limits, and resolves links in the sources of binds,
// which could not be followed from inside.
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
	Code        int    // of exit; -1 where a signal ended it
	Signal      string // such as killed or segmentation fault; empty where it exited
	OutOfMemory bool   // the kernel killed it for its memory limit
	PeakMemory  int64  // bytes, at most, as far as it was measured
	Err         error  // the sandbox itself failed
}

// Success tells whether the process exited with 0.
func (e Exit) Success() bool { return e.Err == nil && e.Code == 0 && e.Signal == "" }
