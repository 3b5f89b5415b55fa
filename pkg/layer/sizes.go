package layer

import (
	"context"
	"regexp"
	"strconv"
	"sync"
)

// sizes adds up the downloads that the installer announces. Once the packed
// wheels alone are over the limit, the build is stopped: unpacked they are not
// smaller.
type sizes struct {
	mu    sync.Mutex
	limit int64
	seen  map[string]int64
	sum   int64
	stop  context.CancelCauseFunc
}

func newSizes(limit int64, stop context.CancelCauseFunc) *sizes {
	return &sizes{limit: limit, stop: stop, seen: map[string]int64{}}
}

// announced is a line of either installer: "Downloading torch (865.2MiB)",
// "  Downloading torch-2.5.0-cp313-….whl (906.4 MB)".
var announced = regexp.MustCompile(`^\s*Downloading (\S+) \(([0-9.]+) ?([kKMG])(i?)B\)`)

func (s *sizes) read(line string) {
	m := announced.FindStringSubmatch(line)
	if m == nil {
		return
	}
	n, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return
	}
	unit := 1000.0
	if m[4] == "i" {
		unit = 1024
	}
	for range map[string]int{"k": 1, "K": 1, "M": 2, "G": 3}[m[3]] {
		n *= unit
	}
	s.add(packageOf(m[1]), int64(n))
}

func (s *sizes) add(name string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum += n - s.seen[name]
	s.seen[name] = n
	if s.sum > s.limit {
		s.stop(errTooLarge)
	}
}

func (s *sizes) largest() []sized {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []sized
	for name, n := range s.seen {
		all = append(all, sized{name, n})
	}
	return topSized(all)
}

var wheelTail = regexp.MustCompile(`-\d.*\.whl$`)

// packageOf is the name in a wheel's, or the name itself.
func packageOf(wheel string) string { return wheelTail.ReplaceAllString(wheel, "") }
