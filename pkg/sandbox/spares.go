//go:build linux

package sandbox

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// Spares are inits that wait for their plan. A start with a spare saves the start
// of a process and the initialisation of a Go program. A spare has namespaces, a
// uid and a group, but no plan: it knows nothing of any tenant, and it serves one
// start. It sets up the same walls as any init.
type Spares struct {
	walls Report
	ready chan *Process
	stop  context.CancelFunc
	made  sync.WaitGroup
	asked atomic.Int64 // when the last process was started, in Unix nanoseconds
}

// quiet is how long no process was started before a spare is made: to move one
// into a cgroup holds up every fork of the machine for milliseconds, and the
// start under way would pay for it.
const quiet = 250 * time.Millisecond

// NewSpares keeps n spares ready (at least 1) until Close.
func NewSpares(n int) *Spares {
	ctx, stop := context.WithCancel(context.Background())
	s := &Spares{walls: Probe(), ready: make(chan *Process, n-1), stop: stop} // make holds one more
	if s.walls.MountNamespace {
		s.made.Go(func() { s.make(ctx) })
	}
	return s
}

// make makes spares until ctx ends, or until one cannot be made: then each start
// makes its own init, and reports the reason.
func (s *Spares) make(ctx context.Context) {
	for s.awaitQuiet(ctx) {
		p, err := newSpare(s.walls)
		if err != nil {
			return
		}
		select {
		case s.ready <- p:
		case <-ctx.Done():
			p.discard()
		}
	}
}

// awaitQuiet returns false once ctx has ended.
func (s *Spares) awaitQuiet(ctx context.Context) bool {
	for {
		left := quiet - time.Since(time.Unix(0, s.asked.Load()))
		if left <= 0 || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(left):
		}
	}
}

// newSpare starts an init for a process with a memory limit and the network.
func newSpare(walls Report) (*Process, error) {
	p := newProcess(walls, hostUID(nil))
	err := p.makeGroup()
	if err == nil {
		p.cmd = p.command(true)
		err = p.begin()
	}
	if err != nil {
		p.cleanup()
		return nil, err
	}
	return p, nil
}

// discard ends a spare that is not used.
func (p *Process) discard() {
	p.abandon()
	p.cleanup()
}

// Start is like the function Start, which it falls back to.
func (s *Spares) Start(ctx context.Context, spec Spec) (*Process, error) {
	s.asked.Store(time.Now().UnixNano())
	files, fits := filesOf(spec)
	if !fits || ctx.Err() != nil {
		return Start(ctx, spec)
	}
	select {
	case p := <-s.ready:
		full := spec.withDefaults()
		if p.instruct(full, files...) != nil {
			p.cleanup()
		} else if started, err := p.await(ctx, full); !errors.Is(err, os.ErrProcessDone) {
			return started, err
		} // else the init had ended, or was about to
	default:
	}
	return Start(ctx, spec)
}

// filesOf returns the process's files from descriptor 1 on, if a spare fits the
// Spec: it can become neither another uid nor a process without the network.
func filesOf(spec Spec) ([]*os.File, bool) {
	out, isFile := spec.Stdout.(*os.File)
	errs, isFileToo := spec.Stderr.(*os.File)
	writable := slices.ContainsFunc(spec.Binds, func(b Bind) bool { return b.Writable })
	fits := isFile && isFileToo && spec.Stdin == nil && spec.Network && spec.MemoryBytes > 0 && !writable && len(spec.ExtraFiles) <= inside.MaxFiles-2
	return append([]*os.File{out, errs}, spec.ExtraFiles...), fits
}

// Close ends the spares. Processes that were started go on.
func (s *Spares) Close() {
	s.stop()
	s.made.Wait()
	for {
		select {
		case p := <-s.ready:
			p.discard()
		default:
			return
		}
	}
}
