package function

import (
	"strconv"
	"strings"
	"time"
)

// ParseReport parses the last REPORT line of a log tail. A figure that the line
// lacks stays 0.
func ParseReport(logTail string) Report {
	var r Report
	at := strings.LastIndex(logTail, "REPORT RequestId:")
	if at < 0 || at > 0 && logTail[at-1] != '\n' {
		return r
	}
	line, _, _ := strings.Cut(logTail[at:], "\n")
	for field := range strings.SplitSeq(line, "\t") {
		name, value, ok := strings.Cut(strings.TrimSpace(field), ": ")
		if !ok {
			continue
		}
		switch name {
		case "Duration":
			r.Duration = milliseconds(value)
		case "Billed Duration":
			r.Billed = milliseconds(value)
		case "Init Duration":
			r.Init = milliseconds(value)
		case "Max Memory Used":
			r.MaxMemoryMB, _ = strconv.Atoi(strings.TrimSuffix(value, " MB"))
		}
	}
	r.MaxMemoryMB = max(r.MaxMemoryMB, 0)
	return r
}

// milliseconds parses a figure such as "12.34 ms". It returns 0 for anything
// else, and for more than a day.
func milliseconds(s string) time.Duration {
	ms, err := strconv.ParseFloat(strings.TrimSuffix(s, " ms"), 64)
	if err != nil || !(ms > 0 && ms < 24*3600*1000) {
		return 0
	}
	return time.Duration(ms * float64(time.Millisecond))
}
