//go:build linux

package sandbox

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// wardenEvery is the interval at which a running sandbox's memory is measured.
// It misses a peak that is shorter than the interval; the group's own limit,
// which includes /tmp, always holds.
const wardenEvery = 20 * time.Millisecond

// warden enforces the memory limit where the group's own limit cannot. A tmpfs is
// charged to the group that writes to it, so the group's limit is memory + size
// of /tmp. The warden measures the anonymous memory of the processes only; shared
// memory counts towards /tmp. It rests while the process is frozen.
type warden struct {
	limit int64 // bytes
	timer *time.Timer
	rests atomic.Bool
}

// beginWarden watches the memory if the group's own limit cannot.
func (p *Process) beginWarden() {
	if p.group == nil || !p.group.watched {
		return
	}
	w := &warden{limit: p.memory.Load() + inside.Bytes}
	w.timer = time.AfterFunc(time.Hour, func() { p.guarded(func() { p.watchMemory(w) }) })
	w.timer.Reset(wardenEvery)
	p.warden = w
}

func (p *Process) watchMemory(w *warden) {
	select {
	case <-p.gone:
		return
	default:
	}
	if p.halted.Load() {
		w.rests.Store(true)
		if p.halted.Load() || !w.rests.Swap(false) {
			return // Thaw wakes it
		}
	} else if p.group.charged() > w.limit {
		if own, ok := p.group.anonymous(); ok && own > w.limit {
			p.overran.Store(true)
			p.killLargest()
		}
	}
	w.timer.Reset(wardenEvery)
}

func (p *Process) wakeWarden() {
	if p.warden != nil && p.warden.rests.Swap(false) {
		p.warden.timer.Reset(wardenEvery)
	}
}

// killLargest kills the process with the most memory, as the kernel does when a
// group's limit is reached.
func (p *Process) killLargest() {
	largest, most := 0, int64(-1)
	for _, pid := range p.members() {
		if status, err := inside.ReadStatus(pid); err == nil && pid != p.cmd.Process.Pid && status.Resident > most {
			largest, most = pid, status.Resident
		}
	}
	if largest != 0 {
		_ = syscall.Kill(largest, syscall.SIGKILL)
	}
}

// charged is the group's memory in bytes that counts towards its limit.
func (g *group) charged() int64 {
	file := "memory.usage_in_bytes"
	if g.version == 2 {
		file = "memory.current"
	}
	data, err := inside.ReadKernel(g.dir + "/" + file)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	return n
}

// anonymous is the anonymous memory of the group's processes in bytes; ok is
// false if the kernel does not report it.
func (g *group) anonymous() (n int64, ok bool) {
	field := "\ntotal_rss "
	if g.version == 2 {
		field = "\nanon "
	}
	data, err := inside.ReadKernel(g.dir + "/memory.stat")
	data = append([]byte{'\n'}, data...)
	if err != nil || !bytes.Contains(data, []byte(field)) {
		return 0, false
	}
	return inside.Number(data, field), true
}
