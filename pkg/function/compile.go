package function

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// compiler compiles its standard input without executing any of it, and limits
// its own memory and processor time first: a compiler can be made to use a lot
// of both.
//
//go:embed handler/compile.py
var compiler string

// compileTimeout bounds a compilation. One that takes longer says nothing: the
// function's import will.
const compileTimeout = 10 * time.Second

// compiled is what the compiler answers: bytecode, or a fault. It is the zero
// value where the compiler broke down.
type compiled struct {
	tag string // of the bytecode's file name, such as cpython-313
	pyc []byte

	Fault string `json:"fault"`
	Line  int    `json:"line"`
	Shown string `json:"shown"` // the line, and a caret under the fault
}

// compileAll compiles the script and the handler with the runtime's own
// interpreter. A function's folder is read-only on Lambda, so that without
// bytecode every cold start would compile again, 10 ms for the handler alone.
// Without that interpreter, or where it breaks down, nothing is compiled and
// nothing found wrong: the function's first import does both.
func (p Packager) compileAll(ctx context.Context, s run.Script) ([]file, error) {
	python, ok := p.Interpreters.For(s.Runtime.Python)
	if !ok {
		return nil, nil
	}
	var files []file
	if !s.Runtime.Shell {
		c, err := compile(ctx, python, []byte(s.Source))
		switch {
		case err != nil:
			return nil, err
		case c.Fault != "":
			return nil, &run.Error{Owner: run.OwnerAuthor, Type: syntaxError, Field: "data.script",
				Message: syntaxMessage(s.Runtime, c.Fault, c.Line) + p.newer(ctx, python, s.Source), Traceback: c.Shown}
		}
		files = c.file(files, pythonFile)
	}
	handler, err := compileHandler(ctx, python)
	if err != nil {
		return nil, err
	}
	return append(files, handler...), nil
}

// newer tells of the newest Python that does compile the source, where the
// runtime's own is too old for it.
func (p Packager) newer(ctx context.Context, python interpreter.Interpreter, source string) string {
	newest, ok := p.Interpreters.Newest()
	if !ok || newest.Minor == python.Minor {
		return ""
	}
	if c, err := compile(ctx, newest, []byte(source)); err != nil || len(c.pyc) == 0 {
		return ""
	}
	return fmt.Sprintf(" Python %s compiles it: choose a newer runtime, or write it for Python %s.", newest.Minor, python.Minor)
}

// file adds the bytecode of the source file to files, if there is any.
func (c compiled) file(files []file, source string) []file {
	if len(c.pyc) == 0 {
		return files
	}
	name := fmt.Sprintf("__pycache__/%s.%s.pyc", strings.TrimSuffix(source, ".py"), c.tag)
	return append(files, file{name, c.pyc})
}

// handlers holds the handler's bytecode by interpreter, for the process's life.
var handlers sync.Map

func compileHandler(ctx context.Context, python interpreter.Interpreter) ([]file, error) {
	if files, ok := handlers.Load(python); ok {
		return files.([]file), nil
	}
	var files []file
	for _, f := range handlerFiles() {
		c, err := compile(ctx, python, f.body)
		if err != nil {
			return nil, err
		}
		files = c.file(files, f.name)
	}
	if len(files) == len(handlerFiles()) {
		handlers.Store(python, files)
	}
	return files, nil
}

// compile fails only with ctx.
func compile(ctx context.Context, python interpreter.Interpreter, source []byte) (compiled, error) {
	limited, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	// Without site: nothing of this machine's is imported. The seed makes the
	// bytecode of sets the same each time.
	cmd := exec.CommandContext(limited, python.Path, "-S", "-s", "-B", "-W", "ignore", "-c", compiler)
	cmd.Env = []string{"PYTHONHASHSEED=0"}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(source)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return compiled{}, fmt.Errorf("compile script: %w", context.Cause(ctx))
	}
	if err != nil {
		return compiled{}, nil
	}
	return readCompiled(out), nil
}

func readCompiled(out []byte) compiled {
	var c compiled
	if tag, pyc, ok := bytes.Cut(out, []byte("\n")); ok {
		return compiled{tag: string(tag), pyc: pyc}
	}
	if json.Unmarshal(out, &c) != nil {
		return compiled{}
	}
	return c
}

const syntaxError = "SyntaxError"

// syntaxMessage words a syntax error; the handler's import error reads the same.
func syntaxMessage(r run.Runtime, fault string, line int) string {
	on := ""
	if r.Name != "" {
		on = " on " + r.Name
	}
	return fmt.Sprintf("The script does not compile%s: %s (%s).", on, strings.TrimSuffix(fault, "."), place(line))
}
