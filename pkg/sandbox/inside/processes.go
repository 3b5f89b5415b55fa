//go:build linux

package inside

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// KillWhile kills the listed processes until the list is empty. It returns
// false if it gives up, because processes start faster than they can be listed.
// Zombies are not counted: their parents reap them.
//
// A list that is read from /proc misses a process that starts and forks while it
// is read. So once there was one to kill, the list must be empty several times in
// a row.
func KillWhile(left func() []int) bool {
	empty, needed := 0, 1
	for range 1000 {
		pids := left()
		killed := 0
		for _, pid := range pids {
			if status, err := ReadStatus(pid); err == nil && status.State != 'Z' && status.State != 'X' {
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

// Descendants lists the descendants of a process by the mounted /proc. The init
// of a PID namespace sees only its own.
//
// Of a chain of processes, each of which forks the next one and ends, a listing of
// /proc has one that may be gone before its status is read. So it is listed again
// until nothing new has begun; each time only what is new is read, which is soon.
func Descendants(root int) []int {
	parents := map[int]int{}
	seen := map[string]bool{}
	for range 100 {
		names := processNames()
		before := len(seen)
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil || seen[name] {
				continue
			}
			seen[name] = true
			if status, err := ReadStatus(pid); err == nil {
				parents[pid] = status.Parent
			}
		}
		if len(seen) == before {
			break
		}
	}
	var all []int
	for pid := range parents {
		at := parents[pid]
		for at > 1 && at != root {
			at = parents[at]
		}
		if at == root && pid != root {
			all = append(all, pid)
		}
	}
	return all
}

// processNames are the names in /proc, those of processes among them.
func processNames() []string {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	return names
}

// ChildrenOf are those of the pids whose parent is this one. It changes pids.
func ChildrenOf(parent int, pids []int) []int {
	return slices.DeleteFunc(pids, func(pid int) bool { return !isChild(pid, parent) })
}

// Kept are those of kept that are children of main still, and what each of them has
// begun since to wait beside it: its child, if that is the only one. all is what
// they are looked for in.
func Kept(main int, kept, all []int) []int {
	kept = ChildrenOf(main, slices.Clone(kept)) // a pid may be another process's meanwhile
	for _, pid := range kept {
		if waiting := ChildrenOf(pid, slices.Clone(all)); len(waiting) == 1 {
			kept = append(kept, waiting...)
		}
	}
	return kept
}

func isChild(pid, parent int) bool {
	status, err := ReadStatus(pid)
	return err == nil && status.Parent == parent
}

// Status has figures of a process from /proc.
type Status struct {
	State    byte
	Parent   int
	Peak     int64 // of resident memory, in bytes
	Resident int64 // resident memory, in bytes
}

// ReadStatus reads the figures of a process.
func ReadStatus(pid int) (Status, error) {
	data, err := ReadKernel(StatusPath(pid))
	if err != nil {
		return Status{}, fmt.Errorf("look at process: %w", err)
	}
	return ParseStatus(data), nil
}

// ParseStatus reads the text of a status file.
func ParseStatus(data []byte) Status {
	s := Status{Parent: int(Number(data, "\nPPid:")), Peak: Number(data, "\nVmHWM:") << 10, Resident: Number(data, "\nVmRSS:") << 10}
	if _, rest, ok := bytes.Cut(data, []byte("\nState:\t")); ok && len(rest) > 0 {
		s.State = rest[0]
	}
	return s
}

// Number is the number after a field's name, and 0 without the field.
func Number(data []byte, field string) (n int64) {
	_, rest, _ := bytes.Cut(data, []byte(field))
	for _, c := range bytes.TrimLeft(rest[:min(len(rest), 64)], " \t") {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
