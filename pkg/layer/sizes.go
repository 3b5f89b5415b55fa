package layer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sizes adds up the downloads that the installer announces. Once the packed
// wheels alone exceed the limit, the build is stopped: unpacked they are not
// smaller.
//
// pip downloads a wheel to read its dependencies, one version after another
// until all fit together. Those downloads are no measure of the layer, so they
// do not count against the limit; the search has bounds of its own, because pip
// may go on for hours.
type sizes struct {
	mu     sync.Mutex
	limit  int64
	seen   map[string]int64 // bytes of each package's last announced version
	tried  map[string]int   // number of versions tried of each package
	sum    int64
	search *time.Timer // stops a search for versions; nil while there is none
	stop   context.CancelCauseFunc
}

// Limits of pip's search. Measured: for boto3==1.26.0 with urllib3==2.2.3,
// which exclude each other, pip tries 165 versions in 9 s and downloads 1.8 GB.
const (
	searchTimeout = 2 * time.Minute
	searchBytes   = 2 << 30
)

func newSizes(limit int64, stop context.CancelCauseFunc) *sizes {
	return &sizes{limit: limit, stop: stop, seen: map[string]int64{}, tried: map[string]int{}}
}

// Output of pip at the beginning and the end of a search.
const (
	searchBegins = "is looking at multiple versions of"
	searchEnds   = "Installing collected packages"
)

// announced matches a download in either installer's output: "Downloading torch
// (865.2MiB)" or "  Downloading torch-2.5.0-cp313-….whl (906.4 MB)".
var announced = regexp.MustCompile(`^\s*Downloading (\S+) \(([0-9.]+) ?([kKMG])(i?)B\)`)

func (s *sizes) read(line string) {
	switch {
	case strings.Contains(line, searchBegins):
		s.begin()
		return
	case strings.HasPrefix(line, searchEnds):
		s.end()
		return
	}
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
	s.tried[name]++
	if s.sum > s.limit && s.search == nil {
		s.stop(errTooLarge)
	}
}

func (s *sizes) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.search == nil {
		s.search = time.AfterFunc(searchTimeout, func() { s.stop(errUnresolved) })
	}
}

// end stops the search's timer, if a search is running.
func (s *sizes) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.search != nil {
		s.search.Stop()
	}
}

// room is the limit of the workshop in bytes: a layer that fits takes its size
// packed, unpacked and installed. The error is what to report if the workshop
// exceeds it.
func (s *sizes) room() (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.search != nil {
		return 3*s.limit + searchBytes, errUnresolved
	}
	return 3*s.limit + 64<<20, errTooLarge
}

// mostTried are the packages with the most tried versions, such as "61 of
// boto3".
func (s *sizes) mostTried() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.SortedFunc(maps.Keys(s.tried), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.tried[b], s.tried[a]), strings.Compare(a, b))
	})
	var most []string
	for _, name := range names[:min(len(names), 3)] {
		if s.tried[name] > 1 {
			most = append(most, fmt.Sprintf("%d of %s", s.tried[name], name))
		}
	}
	return most
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

// packageOf is the package's name in a wheel's file name; a name alone stays as
// it is.
func packageOf(wheel string) string { return wheelTail.ReplaceAllString(wheel, "") }
