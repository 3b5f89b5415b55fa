//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// Report says which walls this machine gives.
type Report struct {
	Root             bool // started by root: sandboxes run under a uid of their own
	UserNamespace    bool
	PIDNamespace     bool // descendants can neither outlive a kill nor see the host
	MountNamespace   bool // a root of its own by pivot_root
	Proc             bool // a /proc of its own
	IPCNamespace     bool
	NetworkNamespace bool // used where a Spec asks for no network
	Landlock         int  // ABI version; 0 is none
	Seccomp          bool
	Rlimits          bool
	MemoryCgroup     int // 1 or 2; 0 is none: limits are per process, by rlimit

	// Failures tells why walls are missing, for whoever wants to mend it.
	Failures []string
}

// wall names a part of the set-up that can fail.
type wall string

const (
	wallClone    wall = "namespaces"
	wallMount    wall = "mounts"
	wallProc     wall = "private /proc"
	wallLoopback wall = "network namespace"
	wallRlimits  wall = "rlimits"
	wallLandlock wall = "landlock"
	wallSeccomp  wall = "seccomp"
	wallCgroup   wall = "cgroup memory"
	wallExec     wall = "exec" // no wall: the program itself could not be started
)

// Probe finds out which walls this machine gives, once per process: it starts a
// sandbox with all of them, and again without what failed.
var Probe = sync.OnceValue(func() Report { return probe(everything()) })

// everything is the report of a machine that gives it all, as far as can be
// known without trying.
func everything() Report {
	sweepGroups()
	return Report{
		Root:          os.Geteuid() == 0,
		UserNamespace: true, PIDNamespace: true, MountNamespace: true, Proc: true, IPCNamespace: true, NetworkNamespace: true,
		Landlock: landlockABI(), Seccomp: seccompArch != 0, Rlimits: true,
		MemoryCgroup: cgroupVersion(),
	}
}

func probe(r Report) Report {
	for range 12 {
		err := try(r)
		if err == nil {
			return r
		}
		r.Failures = append(r.Failures, err.Error())
		var failed *startError
		if !errors.As(err, &failed) || !r.without(r.culprit(failed.wall)) {
			return Report{Root: r.Root, Failures: r.Failures}
		}
	}
	return r
}

// culprit tells apart what a refused clone may mean: a namespace, or the
// version 2 cgroup that the process should be born in.
func (r *Report) culprit(w wall) wall {
	if w != wallClone || r.MemoryCgroup != 2 {
		return w
	}
	other := *r
	other.MemoryCgroup = 0
	var failed *startError
	if errors.As(try(other), &failed) && failed.wall == wallClone {
		return wallClone
	}
	return wallCgroup
}

// without takes away what failed, and what rests on it; false where nothing is
// left to take away.
func (r *Report) without(w wall) bool {
	before := *r
	switch w {
	case wallClone:
		r.withoutNamespace()
	case wallMount:
		r.MountNamespace, r.Proc = false, false
	case wallProc:
		r.Proc = false
	case wallLoopback:
		r.NetworkNamespace = false
	case wallRlimits:
		r.Rlimits = false
	case wallLandlock:
		r.Landlock = 0
	case wallSeccomp:
		r.Seccomp = false
	case wallCgroup:
		r.MemoryCgroup = 0
	}
	return before.layers() != r.layers()
}

// withoutNamespace gives up one namespace. Which one the kernel refused it does
// not say. Root can have the others without a user namespace, nobody else can.
func (r *Report) withoutNamespace() {
	switch {
	case r.UserNamespace && r.Root:
		r.UserNamespace = false
	case r.UserNamespace:
		r.UserNamespace, r.PIDNamespace, r.MountNamespace, r.Proc = false, false, false, false
		r.IPCNamespace, r.NetworkNamespace = false, false
	case r.NetworkNamespace:
		r.NetworkNamespace = false
	case r.IPCNamespace:
		r.IPCNamespace = false
	default:
		r.PIDNamespace, r.MountNamespace, r.Proc = false, false, false
	}
}

// try starts the smallest program that there is with the walls of the report.
func try(r Report) error {
	path := "/bin/true"
	if _, err := os.Stat(path); err != nil {
		path = "/usr/bin/true"
	}
	p, err := start(context.Background(), Spec{Path: path, MemoryBytes: 64 << 20}, r)
	if err != nil {
		return err
	}
	if exit := p.Wait(); !exit.Success() {
		return fmt.Errorf("probe sandbox: %s ended with %d %s", path, exit.Code, exit.Signal)
	}
	return nil
}

// layer is one wall as people read it.
type layer struct {
	name string
	on   bool
}

func (r Report) layers() string { return fmt.Sprint(r.list(), r.Landlock, r.MemoryCgroup) }

func (r Report) list() []layer {
	return []layer{
		{"own uid", r.Root || r.UserNamespace}, {"user ns", r.UserNamespace}, {"pid ns", r.PIDNamespace},
		{"mount ns", r.MountNamespace}, {"private /proc", r.Proc}, {"ipc ns", r.IPCNamespace}, {"net ns", r.NetworkNamespace},
		{"landlock", r.Landlock > 0}, {"seccomp", r.Seccomp}, {"rlimits", r.Rlimits}, {"cgroup memory", r.MemoryCgroup > 0},
	}
}

func (r Report) missing() []string {
	var names []string
	for _, l := range r.list() {
		if !l.on {
			names = append(names, l.name)
		}
	}
	return names
}

// String is one line for people: what is on, then what is missing.
func (r Report) String() string {
	var on []string
	for _, l := range r.list() {
		switch {
		case !l.on:
		case l.name == "landlock":
			on = append(on, fmt.Sprintf("landlock (ABI %d)", r.Landlock))
		case l.name == "cgroup memory":
			on = append(on, fmt.Sprintf("cgroup memory (v%d)", r.MemoryCgroup))
		default:
			on = append(on, l.name)
		}
	}
	text := "sandbox: " + strings.Join(on, ", ")
	if len(on) == 0 {
		text = "sandbox: none"
	}
	if missing := r.missing(); len(missing) > 0 {
		text += "; missing: " + strings.Join(missing, ", ")
	}
	return text
}
