package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat on Linux.
const tick = 10 * time.Millisecond

// cpu is the time that the processes and all their descendants have spent so
// far, those that have ended included.
func cpu(pids ...int) (spent time.Duration) {
	children, of := map[int][]int{}, map[int]time.Duration{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		pid, parent, used, ok := readStat(file)
		if ok {
			children[parent], of[pid] = append(children[parent], pid), used
		}
	}
	for i := 0; i < len(pids); i++ {
		spent += of[pids[i]]
		pids = append(pids, children[pids[i]]...)
	}
	return spent
}

// redisOf is the time of the redis-server that a stack has started; 0 if it has
// none.
func redisOf(stack int) (spent time.Duration) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		_, parent, used, ok := readStat(file)
		name, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "comm"))
		if ok && parent == stack && strings.HasPrefix(string(name), "redis-server") {
			spent += used
		}
	}
	return spent
}

// readStat returns a process's time together with that of the children that it
// has waited for.
func readStat(file string) (pid, parent int, used time.Duration, ok bool) {
	content, err := os.ReadFile(file)
	name, rest, found := bytes.Cut(content, []byte(") ")) // the name may contain any characters
	fields := strings.Fields(string(rest))
	if err != nil || !found || len(fields) < 15 {
		return 0, 0, 0, false
	}
	pid, _ = strconv.Atoi(string(name[:bytes.IndexByte(name, ' ')]))
	parent, _ = strconv.Atoi(fields[1])
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.ParseInt(field, 10, 64)
		used += time.Duration(n) * tick
	}
	return pid, parent, used, true
}

// cpu is what the fleet's own processes have spent, and all of them together
// with the stack and the functions.
func (f *fleet) cpu() (fleet, all time.Duration) {
	pids := []int{f.dispatcher.PID}
	for _, w := range f.workers {
		pids = append(pids, w.PID)
	}
	fleet = cpu(pids...)
	return fleet, fleet + cpu(f.stack.PID)
}

// resident is a kind of a process's memory in bytes: VmRSS, or a part of it.
func resident(pid int, field string) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	var kb int64
	_, after, found := strings.Cut(string(content), "\n"+field+":")
	if _, err := fmt.Sscan(after, &kb); !found || err != nil {
		return 0, fmt.Errorf("the status of process %d has no %s", pid, field)
	}
	return kb << 10, nil
}
