package function

import (
	"strconv"
	"strings"
	"time"
)

// ParseReport reads the last REPORT line of a log tail. What the line does not
// say stays 0.
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

// milliseconds reads a figure such as "12.34 ms"; 0 where it is none, or more
// than a day, which no function lasts.
func milliseconds(s string) time.Duration {
	ms, err := strconv.ParseFloat(strings.TrimSuffix(s, " ms"), 64)
	if err != nil || !(ms > 0 && ms < 24*3600*1000) {
		return 0
	}
	return time.Duration(ms * float64(time.Millisecond))
}
