//go:build linux

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// ErrGone is what Freeze and Thaw fail with once the process has ended.
var ErrGone = errors.New("sandbox: the process has ended")

// Freeze stops the process where it stands and kills all its descendants. It
// returns the most memory that the process has taken so far, in bytes.
// Freeze and Thaw are for one caller at a time.
func (p *Process) Freeze() (peak int64, err error) {
	if peak, ok := p.freezeAlone(); ok {
		return peak, nil
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

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error {
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

// findMain finds the process from outside, by the members of its cgroup, so
// that the common freeze needs no word with the init.
func (p *Process) findMain() {
	if p.group == nil {
		return
	}
	for _, pid := range p.group.members() {
		if status, err := readStatus(pid); err == nil && status.parent == p.cmd.Process.Pid {
			p.main, _ = os.FindProcess(pid) // holds on to the process, not to its number
			return
		}
	}
}

// freezeAlone stops a process that has no descendants, which is the common
// case. It answers false where there is something to kill. It does not wait
// until the process is seen to stand: with the signal sent, nothing of it
// returns from the kernel to its own code.
func (p *Process) freezeAlone() (peak int64, ok bool) {
	if p.main == nil || p.main.Signal(syscall.SIGSTOP) != nil {
		return 0, false
	}
	status, err := readStatus(p.main.Pid)
	if err != nil || len(p.group.members()) != 2 { // the init and this one
		return 0, false
	}
	return status.peak, true
}

// status is what the kernel tells of a process.
type status struct {
	state  byte
	parent int
	peak   int64 // of resident memory, in bytes
}

func readStatus(pid int) (status, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return status{}, fmt.Errorf("look at process: %w", err)
	}
	s := status{parent: int(number(data, "\nPPid:")), peak: number(data, "\nVmHWM:") << 10}
	if _, rest, ok := bytes.Cut(data, []byte("\nState:\t")); ok && len(rest) > 0 {
		s.state = rest[0]
	}
	return s, nil
}

// number reads the number behind a field's name; 0 where there is none.
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
