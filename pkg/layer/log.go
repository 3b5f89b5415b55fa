package layer

import (
	"bytes"
	"regexp"
	"strings"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// maxLog bounds a build's log. Lines are cut out of the middle, because the
// beginning names the tools and the end has the fault.
const (
	maxLog  = 64 << 10
	maxLine = 4 << 10
	cutMark = "… lines left out …"
)

// buildLog collects the output of installer and compiler line by line, without
// the addresses of indexes and their credentials.
type buildLog struct {
	mu       sync.Mutex
	head     []string
	tail     []string
	headSize int
	tailSize int
	cut      bool
	scrub    scrubber
	progress func(string)
	taps     []func(string)
}

func newBuildLog(progress func(string)) *buildLog { return &buildLog{progress: progress} }

// tap calls f with each later line.
func (l *buildLog) tap(f func(string)) { l.taps = append(l.taps, f) }

// learn keeps the address's host out of all later lines.
func (l *buildLog) learn(url string) { l.scrub.learn(url) }

// hide keeps the folder's path out of all later lines.
func (l *buildLog) hide(path string) { l.scrub.paths = append(l.scrub.paths, path) }

// line appends a line, and returns it without what the scrubber removes.
func (l *buildLog) line(s string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s = l.scrub.clean(strings.ToValidUTF8(strings.TrimRight(s, " \r\n"), "�"))
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	for _, f := range l.taps {
		f(s)
	}
	l.progress(s)
	l.keep(s)
	return s
}

func (l *buildLog) keep(s string) {
	const half = maxLog/2 - len(cutMark)
	if l.headSize+len(s)+1 <= half && len(l.tail) == 0 {
		l.head, l.headSize = append(l.head, s), l.headSize+len(s)+1
		return
	}
	l.tail, l.tailSize = append(l.tail, s), l.tailSize+len(s)+1
	for l.tailSize > half {
		l.tailSize -= len(l.tail[0]) + 1
		l.tail, l.cut = l.tail[1:], true
	}
}

func (l *buildLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := append([]string(nil), l.head...)
	if l.cut {
		lines = append(lines, cutMark)
	}
	return strings.Join(append(lines, l.tail...), "\n")
}

// lineWriter passes complete lines on, and an incomplete last one at flush.
type lineWriter struct {
	mu   sync.Mutex
	buf  []byte
	emit func(string)

	panicked *panics.Error // a panic of emit; nothing is written after it
}

// Write is called by a goroutine of os/exec, so it recovers its own panics.
func (w *lineWriter) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.panicked != nil {
		return 0, w.panicked
	}
	if w.panicked = panics.Catch(func() { w.write(p) }); w.panicked != nil {
		return 0, w.panicked
	}
	return len(p), nil
}

func (w *lineWriter) write(p []byte) {
	w.buf = append(w.buf, p...)
	for {
		n := bytes.IndexAny(w.buf, "\n\r")
		if n < 0 {
			break
		}
		if n > 0 {
			w.emit(string(w.buf[:n]))
		}
		w.buf = w.buf[n+1:]
	}
	if len(w.buf) > maxLine { // an endless line must not fill the memory
		w.emit(string(w.buf))
		w.buf = w.buf[:0]
	}
}

// flush passes on an incomplete last line. It panics if Write has.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.panicked != nil {
		panic(w.panicked)
	}
	if len(w.buf) > 0 {
		w.emit(string(w.buf))
	}
	w.buf = nil
}

// scrubber removes addresses from lines, and later their hosts where they
// appear alone. It learns hosts from the addresses that it removes.
type scrubber struct {
	hosts []string
	paths []string // folders of the worker, of no use to an author
}

var (
	address = regexp.MustCompile(`(?i)(?:https?|ftp|git\+\w+|file)://[^\s'"<>)\]]*`)
	named   = regexp.MustCompile(`\bhost='[^']*'`)
	// archiveName matches the file name at the end of a wheel's or a source's
	// address.
	archiveName = regexp.MustCompile(`/[\w.+!%-]+\.(?:whl|tar\.gz|tgz|zip|tar\.bz2)`)
	hostName    = regexp.MustCompile(`(?i)^[a-z+]+://(?:[^/@]*@)?([^/:@]+)`)
)

const indexMark = "<index>"

func (s *scrubber) learn(url string) {
	m := hostName.FindStringSubmatch(url)
	if m == nil || len(m[1]) < 4 {
		return
	}
	for _, h := range s.hosts {
		if h == m[1] {
			return
		}
	}
	s.hosts = append(s.hosts, m[1])
}

func (s *scrubber) clean(line string) string {
	line = address.ReplaceAllStringFunc(line, func(url string) string {
		s.learn(url)
		// The file name at the end of a wheel's address tells the author which
		// wheel it was. The rest of an address may contain a tenant's name or a
		// token.
		return indexMark + archiveName.FindString(url)
	})
	line = named.ReplaceAllString(line, "host='"+indexMark+"'")
	for _, h := range s.hosts {
		line = strings.ReplaceAll(line, h, indexMark)
	}
	for _, p := range s.paths {
		line = strings.ReplaceAll(line, p+"/", "")
	}
	return line
}
