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

// Report tells which walls this machine supports.
type Report struct {
	Root             bool // started by root: each sandbox runs under its own uid
	UserNamespace    bool
	PIDNamespace     bool // descendants can neither survive a kill nor see the host's processes
	MountNamespace   bool // its own root, by pivot_root
	Proc             bool // its own /proc
	IPCNamespace     bool
	NetworkNamespace bool // used if Spec.Network is false
	Landlock         int  // ABI version; 0: none
	Seccomp          bool
	Rlimits          bool
	MemoryCgroup     int // 1 or 2; 0: none, and the limit is per process by rlimit

	// Failures are the reasons for missing walls, for the operator.
	Failures []string
}

// wall names a step of the set-up that can fail.
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
	wallExec     wall = "exec" // not a wall: the program itself could not be started
)

// Probe finds out, once per process, which walls this machine supports: it
// starts a sandbox with all of them, and repeats that without those that
// failed.
var Probe = sync.OnceValue(func() Report { return probe(everything()) })

// everything is the Report of a machine with every wall that cannot be ruled
// out without a try.
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

// culprit decides whether a failed clone was refused for a namespace or for the
// version 2 cgroup in which the process should start.
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

// without removes a failed wall and the walls that need it. It returns false if
// nothing is left to remove.
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

// withoutNamespace removes one namespace: the kernel does not tell which one it
// refused. Without a user namespace, only root can have the others.
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

// try starts a minimal program with the walls of the report.
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

// layer is one wall in the words of Report.String.
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

// String is one line: the walls that are on, then those that are missing.
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
