//go:build linux

package inside

import (
	"fmt"
	"strings"
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

// Wall names a step of the set-up that can fail.
type Wall string

const (
	WallClone    Wall = "namespaces"
	WallMount    Wall = "mounts"
	WallProc     Wall = "private /proc"
	WallLoopback Wall = "network namespace"
	WallRlimits  Wall = "rlimits"
	WallLandlock Wall = "landlock"
	WallSeccomp  Wall = "seccomp"
	WallCgroup   Wall = "cgroup memory"
	WallExec     Wall = "exec" // not a wall: the program itself could not be started
)

// layer is one wall in the words of Report.String.
type layer struct {
	name string
	on   bool
}

// Same tells whether both reports have the same walls.
func (r Report) Same(other Report) bool { return r.layers() == other.layers() }

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
