//go:build linux

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// ErrGone is the error of Freeze and Thaw once the process has ended.
var ErrGone = errors.New("sandbox: the process has ended")

// errRestless is the error of Freeze if new descendants start faster than it
// can kill them. Kill still ends them.
var errRestless = errors.New("sandbox: processes begin faster than they can be ended")

// Freeze stops the process and kills all its descendants, except those of Keep. It
// returns the peak
// of the process's memory so far, in bytes. Freeze and Thaw must not be called
// concurrently.
//
// It sends SIGSTOP and does not wait for the process to be reported as stopped:
// once the signal is sent, no thread of the process returns from the kernel to
// its own code.
func (p *Process) Freeze() (peak int64, err error) {
	defer func() { p.halted.Store(err == nil) }()
	if p.main != nil {
		return p.freezeFromOutside()
	}
	if _, err := p.control.Write([]byte{cmdFreeze}); err != nil {
		return 0, ErrGone
	}
	select {
	case peak := <-p.frozen:
		return peak, nil
	case <-p.gone:
		return 0, ErrGone
	}
}

// Keep spares the children that the process has now in every later Freeze, which
// does not stop them either. It is for children of ours that wait for orders. It
// must not be called concurrently with Freeze.
func (p *Process) Keep() error {
	if p.main != nil {
		p.kept = childrenOf(p.main.Pid, p.members())
		return nil
	}
	if _, err := p.control.Write([]byte{cmdKeep}); err != nil {
		return ErrGone
	}
	return nil
}

// childrenOf are those of the pids whose parent is this one.
func childrenOf(parent int, pids []int) []int {
	return slices.DeleteFunc(pids, func(pid int) bool { return !isChild(pid, parent) })
}

func isChild(pid, parent int) bool {
	status, err := readStatus(pid)
	return err == nil && status.parent == parent
}

func (p *Process) freezeFromOutside() (peak int64, err error) {
	if p.main.Signal(syscall.SIGSTOP) != nil {
		return 0, ErrGone
	}
	if p.status.read(func(text []byte) { peak = parseStatus(text).peak }) != nil {
		return 0, ErrGone
	}
	kept := childrenOf(p.main.Pid, slices.Clone(p.kept)) // a pid may be another process's meanwhile
	ended := killWhile(func() []int {
		return slices.DeleteFunc(p.members(), func(pid int) bool {
			return pid == p.main.Pid || pid == p.cmd.Process.Pid || slices.Contains(kept, pid)
		})
	})
	if !ended {
		return 0, errRestless
	}
	return peak, nil
}

// members are the pids of the sandbox's processes on the host.
func (p *Process) members() []int {
	if p.group != nil {
		return p.group.members()
	}
	return descendants(p.cmd.Process.Pid)
}

// Thaw lets a frozen process continue.
func (p *Process) Thaw() error {
	p.halted.Store(false)
	p.wakeWarden()
	if p.main != nil {
		if p.main.Signal(syscall.SIGCONT) != nil {
			return ErrGone
		}
		return nil
	}
	if _, err := p.control.Write([]byte{cmdThaw}); err != nil {
		return ErrGone
	}
	return nil
}

// findMain finds the process's pid on the host, so that Freeze need not ask the
// init. That is faster, and works where the init has no /proc.
func (p *Process) findMain() {
	if p.group == nil && (p.walls.Proc || !p.walls.PIDNamespace) {
		return
	}
	for _, pid := range p.members() {
		file, err := openKernel(statusPath(pid))
		if err != nil {
			continue
		}
		ours := false
		if err := file.read(func(text []byte) { ours = parseStatus(text).parent == p.cmd.Process.Pid }); err != nil || !ours {
			file.close()
			continue
		}
		p.status = file
		p.main, _ = os.FindProcess(pid) // a handle on the process itself: a pid could be reused
		return
	}
}

// killWhile kills the listed processes until the list is empty. It returns
// false if it gives up, because processes start faster than they can be listed.
// Zombies are not counted: their parents reap them.
//
// A list that is read from /proc misses a process that starts and forks while it
// is read. So once there was one to kill, the list must be empty several times in
// a row.
func killWhile(left func() []int) bool {
	empty, needed := 0, 1
	for range 1000 {
		pids := left()
		killed := 0
		for _, pid := range pids {
			if status, err := readStatus(pid); err == nil && status.state != 'Z' && status.state != 'X' {
				killed++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if killed > 0 {
			empty, needed = 0, 10
		} else if empty++; empty == needed {
			return true
		}
		time.Sleep(200 * time.Microsecond)
	}
	return false
}

// descendants lists the descendants of a process by the mounted /proc. The init
// of a PID namespace sees only its own.
func descendants(root int) []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	parents := map[int]int{}
	var all []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if status, err := readStatus(pid); err == nil {
			parents[pid] = status.parent
			all = append(all, pid)
		}
	}
	return slices.DeleteFunc(all, func(pid int) bool {
		at := parents[pid]
		for at > 1 && at != root {
			at = parents[at]
		}
		return at != root || pid == root
	})
}

// status has figures of a process from /proc.
type status struct {
	state    byte
	parent   int
	peak     int64 // of resident memory, in bytes
	resident int64 // resident memory, in bytes
}

func readStatus(pid int) (status, error) {
	data, err := readKernel(statusPath(pid))
	if err != nil {
		return status{}, fmt.Errorf("look at process: %w", err)
	}
	return parseStatus(data), nil
}

func parseStatus(data []byte) status {
	s := status{parent: int(number(data, "\nPPid:")), peak: number(data, "\nVmHWM:") << 10, resident: number(data, "\nVmRSS:") << 10}
	if _, rest, ok := bytes.Cut(data, []byte("\nState:\t")); ok && len(rest) > 0 {
		s.state = rest[0]
	}
	return s
}

// number is the number after a field's name, and 0 without the field.
func number(data []byte, field string) (n int64) {
	_, rest, _ := bytes.Cut(data, []byte(field))
	for _, c := range bytes.TrimLeft(rest[:min(len(rest), 64)], " \t") {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
