package lambda

import (
	"fmt"
	"math"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// tailBytes is how many bytes of a log are kept and returned with an answer.
const tailBytes = 4 << 10

// logTail reads the output of an environment and keeps its end. It reads as
// fast as a script can print.
type logTail struct {
	pipe *os.File
	raw  syscall.RawConn

	mu  sync.Mutex // held during a read and its keep, so that drain returns after all that was read is kept
	buf []byte
	in  [32 << 10]byte
}

// newLogTail returns a tail and the pipe's end for writing. A panic of the reader
// closes the pipe.
func newLogTail(guard panics.Guard) (*logTail, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make log pipe: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, fmt.Errorf("make log pipe: %w", err)
	}
	l := &logTail{pipe: os.NewFile(uintptr(fds[0]), "log"), buf: make([]byte, 0, 2*tailBytes)}
	raw, err := l.pipe.SyscallConn()
	if err != nil {
		return nil, nil, fmt.Errorf("make log pipe: %w", err)
	}
	l.raw = raw
	go guard.Catch(l.run, nil)
	return l, os.NewFile(uintptr(fds[1]), "log"), nil
}

// run reads until no process has the pipe open for writing.
func (l *logTail) run() {
	defer l.pipe.Close()
	ended := false
	for !ended {
		err := l.raw.Read(func(fd uintptr) bool {
			var more bool
			more, ended = l.readAll(int(fd))
			return more || ended
		})
		if err != nil {
			return
		}
	}
}

// pipeMost is the largest capacity that an unprivileged process can give a
// pipe, 1 MiB.
const pipeMost = 1 << 20

// readAll keeps the bytes in the pipe, at most about pipeMost: a script may
// print faster than readAll reads, and l.mu is held. any tells whether there
// were bytes, ended whether the pipe has reached its end.
func (l *logTail) readAll(fd int) (any, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for read := 0; read < pipeMost; {
		n, err := unix.Read(fd, l.in[:])
		switch {
		case err == unix.EINTR:
			continue
		case n <= 0:
			return read > 0, err != unix.EAGAIN
		}
		l.keep(l.in[:n])
		if read += n; n < len(l.in) {
			break
		}
	}
	return true, false
}

// drain keeps everything that was printed before the call.
func (l *logTail) drain() {
	_ = l.raw.Control(func(fd uintptr) { l.readAll(int(fd)) })
}

// keep appends p and drops all but the last tailBytes. The caller holds l.mu.
func (l *logTail) keep(p []byte) {
	if len(p) > tailBytes {
		p = p[len(p)-tailBytes:]
	}
	if len(l.buf)+len(p) > cap(l.buf) {
		n := copy(l.buf, l.buf[len(l.buf)-min(len(l.buf), tailBytes):])
		l.buf = l.buf[:n]
	}
	l.buf = append(l.buf, p...)
}

// printf adds a line of the platform's own.
func (l *logTail) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(fmt.Appendf(nil, format, args...))
}

// reset drops everything: output between two invocations belongs to none.
func (l *logTail) reset() {
	l.drain()
	l.mu.Lock()
	l.buf = l.buf[:0]
	l.mu.Unlock()
}

// tail is the end of the log.
func (l *logTail) tail() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]byte(nil), l.buf[len(l.buf)-min(len(l.buf), tailBytes):]...)
}

// report prints the lines at the end of an invocation, exactly as Lambda does.
func (l *logTail) report(id string, took, init time.Duration, memoryMB int, peak int64, status string) {
	billed := int64(math.Ceil(milliseconds(took + init)))
	line := fmt.Sprintf("END RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB\t",
		id, id, milliseconds(took), billed, memoryMB, (peak+1<<20-1)>>20)
	if init > 0 {
		line += fmt.Sprintf("Init Duration: %.2f ms\t", milliseconds(init))
	}
	l.printf("%s%s\n", line, status)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
