//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
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
		Landlock: inside.LandlockABI(), Seccomp: inside.SeccompArch != 0, Rlimits: true,
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
		var failed *inside.StartError
		if !errors.As(err, &failed) || !without(&r, culprit(r, failed.Wall)) {
			return Report{Root: r.Root, Failures: r.Failures}
		}
	}
	return r
}

// culprit decides whether a failed clone was refused for a namespace or for the
// version 2 cgroup in which the process should start.
func culprit(r Report, w inside.Wall) inside.Wall {
	if w != inside.WallClone || r.MemoryCgroup != 2 {
		return w
	}
	other := r
	other.MemoryCgroup = 0
	var failed *inside.StartError
	if errors.As(try(other), &failed) && failed.Wall == inside.WallClone {
		return inside.WallClone
	}
	return inside.WallCgroup
}

// without removes a failed wall and the walls that need it. It returns false if
// nothing is left to remove.
func without(r *Report, w inside.Wall) bool {
	before := *r
	switch w {
	case inside.WallClone:
		withoutNamespace(r)
	case inside.WallMount:
		r.MountNamespace, r.Proc = false, false
	case inside.WallProc:
		r.Proc = false
	case inside.WallLoopback:
		r.NetworkNamespace = false
	case inside.WallRlimits:
		r.Rlimits = false
	case inside.WallLandlock:
		r.Landlock = 0
	case inside.WallSeccomp:
		r.Seccomp = false
	case inside.WallCgroup:
		r.MemoryCgroup = 0
	}
	return !before.Same(*r)
}

// withoutNamespace removes one namespace: the kernel does not tell which one it
// refused. Without a user namespace, only root can have the others.
func withoutNamespace(r *Report) {
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
