package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Born identifies a process by pid and start time, because pids are reused.
type Born struct {
	pid   int
	start string
}

// Family is the process and its descendants, from /proc.
func (p *Process) Family() []Born {
	children := map[int][]Born{}
	var own []Born
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		who, parent, ok := readStat(file)
		if !ok {
			continue
		}
		children[parent] = append(children[parent], who)
		if who.pid == p.PID {
			own = append(own, who)
		}
	}
	for i := 0; i < len(own); i++ {
		own = append(own, children[own[i].pid]...)
	}
	return own
}

// Alive tells whether the process exists and is no zombie.
func (b Born) Alive() bool {
	now, _, ok := readStat(fmt.Sprintf("/proc/%d/stat", b.pid))
	return ok && now == b
}

// readStat parses pid, parent and start time; a zombie counts as ended.
func readStat(file string) (who Born, parent int, ok bool) {
	b, err := os.ReadFile(file)
	_, rest, found := bytes.Cut(b, []byte(") ")) // the name may contain any characters
	fields := strings.Fields(string(rest))
	if err != nil || !found || len(fields) < 20 || fields[0] == "Z" {
		return Born{}, 0, false
	}
	who.start = fields[19]
	who.pid, _ = strconv.Atoi(string(b[:bytes.IndexByte(b, ' ')]))
	parent, _ = strconv.Atoi(fields[1])
	return who, parent, true
}
