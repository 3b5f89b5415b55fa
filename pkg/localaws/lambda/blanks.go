package lambda

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

// blanks are interpreters that run in their sandbox and wait for a function. A
// cold start that takes one does not wait for a process, the mounts of its root,
// and Python's own start. A blank has seen nothing of any tenant, and it serves
// one function only.
//
// There are blanks of the runtimes that were used within Config.IdleTimeout. Each
// takes about 20 MiB.
type blanks struct {
	server *Server
	ctx    context.Context // ends when the server closes
	end    context.CancelFunc
	made   sync.WaitGroup
	asked  atomic.Int64 // when an environment was last started, in Unix nanoseconds

	mu     sync.Mutex
	stocks map[string]*stock // by the path of the interpreter
}

// stock is the blanks of one interpreter.
type stock struct {
	ready  chan *environment
	wanted time.Time // when a start last asked for one; blanks.mu guards it
}

// blanksOfARuntime is how many cold starts of a runtime at the same time find an
// interpreter that waits.
const blanksOfARuntime = 2

// startsApart is how long no environment was started before a blank is: it would
// take processor time from the start under way.
const startsApart = 250 * time.Millisecond

func newBlanks(s *Server) *blanks {
	b := &blanks{server: s, stocks: map[string]*stock{}}
	b.ctx, b.end = context.WithCancel(s.life)
	return b
}

// take returns a blank that fits the program, or nil. From then on blanks of its
// runtime are kept.
func (b *blanks) take(p *program) *environment {
	b.asked.Store(time.Now().UnixNano())
	if !fitsBlank(p) || !sandbox.Probe().MountNamespace {
		return nil
	}
	select {
	case e := <-b.stock(p.interpreter).ready:
		return e
	default:
		return nil
	}
}

// fitsBlank tells whether nothing of the program is needed when its interpreter
// starts. Variables of its own may be Python's or the linker's.
// The interpreter of a custom runtime is in the program's layers.
func fitsBlank(p *program) bool {
	return len(p.variables) == 0 && p.tmpMB == leastTmpMB && p.runtime != custom
}

// stock returns the stock of an interpreter, and makes it if there is none.
func (b *blanks) stock(python interpreter.Interpreter) *stock {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stocks[python.Path]
	if s == nil {
		s = &stock{ready: make(chan *environment, blanksOfARuntime-1)} // keep holds one more
		b.stocks[python.Path] = s
		if b.ctx.Err() == nil {
			b.made.Go(func() { _ = b.server.guard("", func() { b.keep(python, s) }) })
		}
	}
	s.wanted = time.Now()
	return s
}

// keep makes blanks while their stock is wanted.
func (b *blanks) keep(python interpreter.Interpreter, s *stock) {
	defer b.drop(python, s)
	for b.awaitQuiet() {
		e, err := b.make(python)
		if err != nil {
			b.server.log.Warn("no interpreter starts ahead of its function: cold starts take longer", zap.String("python", python.Version), zap.Error(err))
			return
		}
		if !b.offer(s, e) {
			e.kill()
			return
		}
	}
}

// offer waits for a place in the stock. It returns false when the stock is no
// longer wanted, or e has ended.
func (b *blanks) offer(s *stock, e *environment) bool {
	for left := b.left(s); left > 0; left = b.left(s) {
		select {
		case s.ready <- e:
			return true
		case <-e.proc.Gone():
			return false
		case <-b.ctx.Done():
			return false
		case <-time.After(left):
		}
	}
	return false
}

// left is how long the stock is still kept if no start asks for one.
func (b *blanks) left(s *stock) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.server.cfg.IdleTimeout - time.Since(s.wanted)
}

// drop ends the stock.
func (b *blanks) drop(python interpreter.Interpreter, s *stock) {
	b.mu.Lock()
	delete(b.stocks, python.Path)
	b.mu.Unlock()
	for {
		select {
		case e := <-s.ready:
			e.kill()
		default:
			return
		}
	}
}

// awaitQuiet returns false once the server closes.
func (b *blanks) awaitQuiet() bool {
	for {
		left := startsApart - time.Since(time.Unix(0, b.asked.Load()))
		if left <= 0 || b.ctx.Err() != nil {
			return b.ctx.Err() == nil
		}
		select {
		case <-b.ctx.Done():
		case <-time.After(left):
		}
	}
}

// make starts an interpreter. Its root is open until become.
func (b *blanks) make(python interpreter.Interpreter) (*environment, error) {
	spec := bare(python, b.server.files.runtime)
	spec.Open, spec.Dir = true, "/"
	spec.Env = list(atStart(python, taskRoot))
	spec.MemoryBytes = leastMemoryMB << 20
	return launch(b.server.life, b.server.spares, spec, b.server.guardOf(""))
}

// become makes a blank the environment of a program.
func (e *environment) become(p *program, sdk string, began time.Time) error {
	if err := e.proc.Complete(p.binds(sdk), int64(p.memoryMB)<<20); err != nil {
		return err
	}
	has := atStart(p.interpreter, taskRoot)
	variables := p.environ()
	maps.DeleteFunc(variables, func(name, _ string) bool { _, there := has[name]; return there })
	return e.begin(p, sdk, variables, began)
}

// close ends all blanks.
func (b *blanks) close() {
	b.end()
	b.made.Wait()
}
