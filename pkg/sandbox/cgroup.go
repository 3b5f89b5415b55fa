//go:build linux

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// group is the memory cgroup of one sandbox.
type group struct {
	version int
	dir     string
	self    *os.File // version 2: its directory; the first process starts in it (clone3)
	watched bool     // its limit includes /tmp, so the warden has to enforce the memory's
}

// groupPrefix and the starter's pid begin the names of groups. A later starter
// recognises by them the groups of a starter that was killed, and removes them.
const groupPrefix = "scriptfleet-sandbox-"

var groupCount atomic.Int64

// cgroupVersion is the version of the memory controller under which this
// process can make groups: 1, 2, or 0 for none.
func cgroupVersion() int { v, _ := cgroupParent(); return v }

// cgroupParent finds where groups are made: below this process's own group, or
// beside it, because a version 2 group with processes may have no child groups.
var cgroupParent = sync.OnceValues(func() (int, string) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, ""
	}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		if fields[1] == "memory" {
			for _, dir := range []string{filepath.Join("/sys/fs/cgroup/memory", fields[2]), "/sys/fs/cgroup/memory"} {
				if canMake(dir, "memory.limit_in_bytes") {
					return 1, dir
				}
			}
		}
		if fields[0] == "0" {
			for _, dir := range []string{filepath.Join("/sys/fs/cgroup", fields[2]), filepath.Join("/sys/fs/cgroup", filepath.Dir(fields[2]))} {
				_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+memory"), 0)
				if canMake(dir, "memory.max") {
					return 2, dir
				}
			}
		}
	}
	return 0, ""
})

// canMake tests whether a group can be made below parent and has the file that
// sets its limit.
func canMake(parent, file string) bool {
	dir := filepath.Join(parent, fmt.Sprintf("%s%d-probe", groupPrefix, os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return false
	}
	defer os.Remove(dir)
	return unix.Access(filepath.Join(dir, file), unix.W_OK) == nil
}

// newGroup makes a group without a limit, or returns nil for version 0.
func newGroup(version int) (*group, error) {
	if version == 0 {
		return nil, nil
	}
	_, parent := cgroupParent()
	g := &group{version: version, dir: filepath.Join(parent, fmt.Sprintf("%s%d-%d", groupPrefix, os.Getpid(), groupCount.Add(1)))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, &inside.StartError{Wall: inside.WallCgroup, Text: err.Error()}
	}
	if version == 2 {
		var err error
		if g.self, err = os.Open(g.dir); err != nil {
			g.remove()
			return nil, &inside.StartError{Wall: inside.WallCgroup, Text: err.Error()}
		}
	}
	return g, nil
}

// bound limits the group. memory and beside (the size of /tmp) are in bytes. The
// kernel charges both to the group. If the group can report its anonymous memory,
// its limit is memory + beside and the warden enforces memory; otherwise its
// limit is memory, for both together.
func (g *group) bound(memory, beside int64) error {
	_, told := g.anonymous()
	if g.watched = told && beside > 0; g.watched {
		memory += beside
	}
	if err := g.limit(memory); err != nil {
		return &inside.StartError{Wall: inside.WallCgroup, Text: err.Error()}
	}
	return nil
}

func (g *group) limit(bytes int64) error {
	value := strconv.FormatInt(bytes, 10)
	if g.version == 1 {
		if err := g.write("memory.limit_in_bytes", value); err != nil {
			return err
		}
		// Without a limit of memory and swap together, a full group swaps instead
		// of being killed.
		_ = g.write("memory.memsw.limit_in_bytes", value)
		return nil
	}
	if err := g.write("memory.max", value); err != nil {
		return err
	}
	_ = g.write("memory.swap.max", "0")
	return nil
}

func (g *group) write(file, value string) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0)
}

// enterOnClone makes a version 2 group's first process start in the group.
func (g *group) enterOnClone(attr *syscall.SysProcAttr) {
	if g.self != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.self.Fd())
	}
}

// add moves a process into a version 1 group.
func (g *group) add(pid int) error {
	if g.version != 1 {
		return nil
	}
	return g.write("cgroup.procs", strconv.Itoa(pid))
}

// killedSome tells whether the kernel killed a member because of the limit.
func (g *group) killedSome() bool {
	file := "memory.oom_control"
	if g.version == 2 {
		file = "memory.events"
	}
	data, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(data) {
		if count, ok := bytes.CutPrefix(line, []byte("oom_kill ")); ok {
			return string(bytes.TrimSpace(count)) != "0"
		}
	}
	return false
}

// members are the pids in the group, the init's included. The file is opened each
// time: in version 1 a second read of an open one may be a second old.
func (g *group) members() []int {
	data, err := inside.ReadKernel(g.dir + "/cgroup.procs")
	if err != nil {
		return nil
	}
	var pids []int
	for line := range bytes.Lines(data) {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// peak is the group's highest memory use in bytes; it includes the page cache.
func (g *group) peak() int64 {
	file := "memory.max_usage_in_bytes"
	if g.version == 2 {
		file = "memory.peak"
	}
	data, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	return n
}

// remove removes the group. It retries for a moment, until the last members are
// gone.
func (g *group) remove() {
	if g.self != nil {
		g.self.Close()
	}
	for range 50 {
		if err := os.Remove(g.dir); !errors.Is(err, unix.EBUSY) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// sweepGroups removes the groups of starters that have ended.
func sweepGroups() {
	_, parent := cgroupParent()
	dirs, _ := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), groupPrefix), "-")
		n, err := strconv.Atoi(pid)
		if err == nil && errors.Is(unix.Kill(n, 0), unix.ESRCH) {
			_ = os.Remove(dir)
		}
	}
}
