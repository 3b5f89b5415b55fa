//go:build linux

package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// wardenEvery is how often a running sandbox's memory is looked at. A script
// that takes more for less than so long is not noticed; the group's own limit,
// which includes /tmp, holds at every moment.
const wardenEvery = 20 * time.Millisecond

// watchMemory keeps the sandbox to its memory where the group's limit cannot: a
// tmpfs is charged to the group that writes to it, so that limit is the memory
// and the size of /tmp together. What is measured here is the memory of the
// processes alone; memory that they share counts towards /tmp.
func (p *Process) watchMemory(limit int64) {
	tick := time.NewTicker(wardenEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.gone:
			return
		case <-tick.C:
		}
		if p.halted.Load() || p.group.charged() <= limit {
			continue
		}
		if own, ok := p.group.anonymous(); ok && own > limit {
			p.overran.Store(true)
			p.killLargest()
		}
	}
}

// killLargest kills the process that takes the most, as the kernel does where a
// group's limit is reached.
func (p *Process) killLargest() {
	largest, most := 0, int64(-1)
	for _, pid := range p.members() {
		if status, err := readStatus(pid); err == nil && pid != p.cmd.Process.Pid && status.resident > most {
			largest, most = pid, status.resident
		}
	}
	if largest != 0 {
		_ = syscall.Kill(largest, syscall.SIGKILL)
	}
}

// charged is all that counts towards the group's limit, in bytes.
func (g *group) charged() int64 {
	file := "memory.usage_in_bytes"
	if g.version == 2 {
		file = "memory.current"
	}
	data, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	return n
}

// anonymous is the memory of the group's processes that no file stands for, in
// bytes; not ok where the kernel does not tell it.
func (g *group) anonymous() (n int64, ok bool) {
	field := "\ntotal_rss "
	if g.version == 2 {
		field = "\nanon "
	}
	data, err := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
	data = append([]byte{'\n'}, data...)
	if err != nil || !bytes.Contains(data, []byte(field)) {
		return 0, false
	}
	return number(data, field), true
}
