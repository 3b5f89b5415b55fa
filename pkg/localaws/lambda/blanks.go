package lambda

import (
	"context"
	"maps"
	"sync"
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

	mu     sync.Mutex
	stocks map[string]*stock // by the path of the interpreter
}

// stock is the blanks of one interpreter.
type stock struct {
	ready chan *environment

	// Guarded by blanks.mu.
	wanted time.Time         // when a start last asked for one
	making bool              // one is being made, in a slot of the starter
	claim  chan *environment // gets that one, or nil if it fails; nil if no start waits for it
}

// blanksOfARuntime is how many cold starts of a runtime at the same time find an
// interpreter that waits.
const blanksOfARuntime = 2

func newBlanks(s *Server) *blanks {
	b := &blanks{server: s, stocks: map[string]*stock{}}
	b.ctx, b.end = context.WithCancel(s.life)
	return b
}

// take returns a blank that fits the program, or nil. It waits for one that is
// being made, which is quicker than another start, unless a start waits for that
// already. From then on blanks of the runtime are kept.
func (b *blanks) take(p *program) *environment {
	if !fitsBlank(p) || !sandbox.Probe().MountNamespace {
		return nil
	}
	s := b.stock(p.interpreter)
	select {
	case e := <-s.ready:
		return e
	default:
	}
	b.mu.Lock()
	if !s.making || s.claim != nil {
		b.mu.Unlock()
		return nil
	}
	claim := make(chan *environment, 1)
	s.claim = claim
	b.mu.Unlock()
	return <-claim
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

// keep makes blanks while their stock is wanted. Each takes a slot of the starter,
// as a start does, which it saves one start.
func (b *blanks) keep(python interpreter.Interpreter, s *stock) {
	defer b.drop(python, s)
	for b.ctx.Err() == nil {
		var e *environment
		var err error
		claimed := false
		b.server.starts.do(func() {
			b.begin(s)
			defer func() { claimed = b.finish(s, e) }()
			e, err = b.make(python)
		})
		switch {
		case err != nil:
			b.server.log.Warn("no interpreter starts ahead of its function: cold starts take longer", zap.String("python", python.Version), zap.Error(err))
			return
		case claimed:
		case !b.offer(s, e):
			e.kill()
			return
		}
	}
}

// begin lets a start claim the blank that is being made.
func (b *blanks) begin(s *stock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.making = true
}

// finish gives the blank, nil if there is none, to the start that has claimed it.
// It returns false if none has.
func (b *blanks) finish(s *stock, e *environment) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	claim := s.claim
	s.making, s.claim = false, nil
	if claim != nil {
		claim <- e
	}
	return claim != nil
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
