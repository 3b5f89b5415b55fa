//go:build linux

package sandbox

import (
	"errors"
	"os"
	"slices"
	"syscall"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// ErrGone is the error of Freeze and Thaw once the process has ended.
var ErrGone = errors.New("sandbox: the process has ended")

// errRestless is the error of Freeze if new descendants start faster than it
// can kill them. Kill still ends them.
var errRestless = errors.New("sandbox: processes begin faster than they can be ended")

// Freeze stops the process and kills all its descendants, except those of Keep. It
// returns the peak of the process's memory so far, in bytes. Freeze and Thaw must
// not be called concurrently.
//
// It sends SIGSTOP and does not wait for the process to be reported as stopped:
// once the signal is sent, no thread of the process returns from the kernel to
// its own code.
func (p *Process) Freeze() (peak int64, err error) {
	defer func() { p.halted.Store(err == nil) }()
	if p.main != nil {
		return p.freezeFromOutside()
	}
	if _, err := p.control.Write([]byte{inside.CmdFreeze}); err != nil {
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
// does not stop them either. It is for children of ours that wait for orders. A
// single child of such a child is spared too: it waits for its turn. Keep must not
// be called concurrently with Freeze.
func (p *Process) Keep() error {
	if p.main != nil {
		p.kept = inside.ChildrenOf(p.mainPid, p.members())
		return nil
	}
	if _, err := p.control.Write([]byte{inside.CmdKeep}); err != nil {
		return ErrGone
	}
	return nil
}

// Alone tells that the process has no descendants but those of Keep, and the peak
// of its memory so far, in bytes. It does not stop the process, whose threads may
// start another one meanwhile. Where it cannot tell, or the process has ended, it
// returns false: then Freeze does or says what has to be.
func (p *Process) Alone() (peak int64, alone bool) {
	if p.main == nil {
		return 0, false
	}
	peak, err := p.peak()
	return peak, err == nil && len(p.strays()) == 0
}

func (p *Process) freezeFromOutside() (peak int64, err error) {
	if p.main.Signal(syscall.SIGSTOP) != nil {
		return 0, ErrGone
	}
	if peak, err = p.peak(); err != nil {
		return 0, ErrGone
	}
	if !inside.KillWhile(p.strays) {
		return 0, errRestless
	}
	return peak, nil
}

func (p *Process) peak() (bytes int64, err error) {
	err = p.status.Read(func(text []byte) { bytes = inside.ParseStatus(text).Peak })
	return bytes, err
}

// strays are the processes that Freeze kills.
func (p *Process) strays() []int {
	all := p.members()
	spared := append(inside.Kept(p.mainPid, p.kept, all), p.mainPid, p.cmd.Process.Pid)
	return slices.DeleteFunc(all, func(pid int) bool { return slices.Contains(spared, pid) })
}

// members are the pids of the sandbox's processes on the host.
func (p *Process) members() []int {
	if p.group != nil {
		return p.group.members()
	}
	return inside.Descendants(p.cmd.Process.Pid)
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
	if _, err := p.control.Write([]byte{inside.CmdThaw}); err != nil {
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
		file, err := inside.OpenKernel(inside.StatusPath(pid))
		if err != nil {
			continue
		}
		ours := false
		if err := file.Read(func(text []byte) { ours = inside.ParseStatus(text).Parent == p.cmd.Process.Pid }); err != nil || !ours {
			file.Close()
			continue
		}
		p.status, p.mainPid = file, pid
		p.main, _ = os.FindProcess(pid) // a handle on the process itself: a pid could be reused
		return
	}
}
