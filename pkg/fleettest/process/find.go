package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Named tells whether a process on this machine has the name. Zombies do not
// count.
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

// Marked are the pids of all processes, except this one, whose "environ" or
// "cmdline" contains the mark.
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
