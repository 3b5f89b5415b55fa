package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Named tells whether a process of the machine has that name; zombies, which
// wait for nothing but their parent, do not count.
func Named(name string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, file := range files {
		b, _ := os.ReadFile(file)
		if _, _, alive := readStat(filepath.Join(filepath.Dir(file), "stat")); alive && strings.TrimSpace(string(b)) == name {
			return true
		}
	}
	return false
}

// Marked are the pids of the machine's processes, but for this one, that hold a
// mark in their "environ" or "cmdline".
func Marked(in, mark string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/" + in)
	for _, file := range files {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if content, err := os.ReadFile(file); err == nil && bytes.Contains(content, []byte(mark)) && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
