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

// sizes follows what the installer says that it downloads. Once the packed
// wheels alone are over the limit, the build is stopped: unpacked they are not
// smaller.
//
// pip tells what a wheel needs by downloading it, one version after the other
// until all fit together. What it downloads says nothing of the layer then; but
// the search itself is bounded, since pip may go on with it for hours.
type sizes struct {
	mu     sync.Mutex
	limit  int64
	seen   map[string]int64 // the last version of each package
	tried  map[string]int   // how many versions of each package
	sum    int64
	search *time.Timer // ends a search for versions; nil while there is none
	stop   context.CancelCauseFunc
}

// Bounds of pip's search. Requirements that exclude each other take it 9 s and
// 1.8 GB where boto3==1.26.0 stands beside urllib3==2.2.3, for 165 versions.
const (
	searchTimeout = 2 * time.Minute
	searchBytes   = 2 << 30
)

func newSizes(limit int64, stop context.CancelCauseFunc) *sizes {
	return &sizes{limit: limit, stop: stop, seen: map[string]int64{}, tried: map[string]int{}}
}

// Lines of pip about its search.
const (
	searchBegins = "is looking at multiple versions of"
	searchEnds   = "Installing collected packages"
)

// announced is a line of either installer: "Downloading torch (865.2MiB)",
// "  Downloading torch-2.5.0-cp313-….whl (906.4 MB)".
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

// end ends the search, if there was one.
func (s *sizes) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.search != nil {
		s.search.Stop()
	}
}

// room is what the workshop may take: packed, unpacked and installed is what a
// layer that fits takes. What is over it is returned by name.
func (s *sizes) room() (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.search != nil {
		return 3*s.limit + searchBytes, errUnresolved
	}
	return 3*s.limit + 64<<20, errTooLarge
}

// mostTried are the packages with the most versions tried, "61 of boto3" each.
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

// packageOf is the name in a wheel's, or the name itself.
func packageOf(wheel string) string { return wheelTail.ReplaceAllString(wheel, "") }
