package function

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// compilers are processes that wait for their sources, at most one of each
// interpreter: Python's start takes longer than the compilation of a script. Each
// compiles once and then ends, so that it sees one tenant's source only. It also
// ends with this process, since its input does.
var compilers = waiting{ready: map[interpreter.Interpreter]*process{}}

// compilerIdle is how long a process waits; it takes about 8 MiB.
const compilerIdle = 5 * time.Minute

type waiting struct {
	mu    sync.Mutex
	ready map[interpreter.Interpreter]*process
}

// process is a started compiler.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    bytes.Buffer
	expiry *time.Timer // ends it if nobody takes it; nil once it is taken
}

func startCompiler(python interpreter.Interpreter) (*process, error) {
	// -S and -s: no site packages of this machine are imported. The fixed hash
	// seed gives sets in the bytecode the same order each time.
	p := &process{cmd: exec.Command(python.Path, "-S", "-s", "-B", "-W", "ignore", "-c", compiler)} //nolint:noctx // it waits for the next call; close ends it
	p.cmd.Env = []string{"PYTHONHASHSEED=0"}
	p.cmd.Dir = "/"
	p.cmd.Stdout = &p.out
	p.cmd.WaitDelay = time.Second
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return p, p.cmd.Start()
}

// take returns the process that waits, or a new one. Another one then starts in
// its place.
func (w *waiting) take(python interpreter.Interpreter) (*process, error) {
	w.mu.Lock()
	p := w.ready[python]
	delete(w.ready, python)
	w.mu.Unlock()
	defer func() { go w.refill(python) }()
	if p != nil && p.expiry.Stop() {
		return p, nil
	}
	return startCompiler(python)
}

func (w *waiting) refill(python interpreter.Interpreter) {
	p, err := startCompiler(python)
	if err != nil {
		return // the next compilation finds out why
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ready[python] != nil {
		go p.end()
		return
	}
	w.ready[python] = p
	p.expiry = time.AfterFunc(compilerIdle, func() { w.expire(python, p) })
}

func (w *waiting) expire(python interpreter.Interpreter, p *process) {
	w.mu.Lock()
	if w.ready[python] == p {
		delete(w.ready, python)
	}
	w.mu.Unlock()
	p.end()
}

// end ends a process that nobody has taken.
func (p *process) end() {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// compile returns the process's answer. When ctx ends, the process is killed.
func (p *process) compile(ctx context.Context, sources []byte) ([]byte, error) {
	defer context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })()
	_, _ = p.in.Write(sources) // if it has ended, Wait tells how
	_ = p.in.Close()
	err := p.cmd.Wait()
	return p.out.Bytes(), err
}
