package function

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// compiler is a Python program that compiles its standard input and executes
// none of it. It first limits its own memory and processor time, because a
// source can make Python's compiler use a lot of both.
//
//go:embed handler/compile.py
var compiler string

// compileTimeout bounds a compilation. After it, the script is taken as
// unchecked, and the function's first import compiles it.
const compileTimeout = 10 * time.Second

// compiled is the compiler's answer: bytecode or a fault. It is the zero value
// where the compiler failed.
type compiled struct {
	tag string // of the bytecode's file name, such as cpython-313
	pyc []byte

	Fault string `json:"fault"`
	Line  int    `json:"line"`
	Shown string `json:"shown"` // the line, and a caret under the fault
}

// compileAll compiles the script and the handler with an interpreter of the
// script's runtime. Bytecode belongs in the zip because a function's folder is
// read-only on Lambda: without it every cold start compiles again, 10 ms for
// the handler alone. Without that interpreter, or where the compiler fails, the
// zip has no bytecode and the script is not checked: the function's first
// import does both.
func (p Packager) compileAll(ctx context.Context, s run.Script) ([]file, error) {
	python, ok := p.Interpreters.For(s.Runtime.Python)
	if !ok {
		return nil, nil
	}
	var files []file
	if !s.Runtime.Shell && !s.Runner {
		answers, err := compile(ctx, python, []byte(s.Source))
		c := answers[0]
		switch {
		case err != nil:
			return nil, err
		case c.Fault != "":
			return nil, &run.Error{Owner: run.OwnerAuthor, Type: syntaxError, Field: "data.script",
				Message: syntaxMessage(s.Runtime, c.Fault, c.Line) + p.newer(ctx, python, s.Source), Traceback: shown(s, c.Shown)}
		case !s.Sealed: // Python looks for the bytecode of a source that is there
			files = c.file(files, pythonFile)
		}
	}
	handler, err := compileHandler(ctx, python)
	if err != nil {
		return nil, err
	}
	return append(files, modules(handler, s)...), nil
}

// newer returns a sentence that names the newest Python that compiles the
// source, where the runtime's Python does not. It is empty where no installed
// Python does.
func (p Packager) newer(ctx context.Context, python interpreter.Interpreter, source string) string {
	newest, ok := p.Interpreters.Newest()
	if !ok || newest.Minor == python.Minor {
		return ""
	}
	if answers, err := compile(ctx, newest, []byte(source)); err != nil || len(answers[0].pyc) == 0 {
		return ""
	}
	return fmt.Sprintf(" Python %s compiles it: choose a newer runtime, or write it for Python %s.", newest.Minor, python.Minor)
}

// file appends the bytecode of the source file to files, if there is any.
func (c compiled) file(files []file, source string) []file {
	if len(c.pyc) == 0 {
		return files
	}
	name := fmt.Sprintf("__pycache__/%s.%s.pyc", strings.TrimSuffix(source, ".py"), c.tag)
	return append(files, file{name: name, body: c.pyc})
}

// handlers caches the handler's bytecode by interpreter for the process's life.
var handlers sync.Map

func compileHandler(ctx context.Context, python interpreter.Interpreter) ([]file, error) {
	if files, ok := handlers.Load(python); ok {
		return files.([]file), nil
	}
	sources := handlerFiles()
	bodies := make([][]byte, len(sources))
	for i, f := range sources {
		bodies[i] = f.body
	}
	answers, err := compile(ctx, python, bodies...)
	if err != nil {
		return nil, err
	}
	var files []file
	for i, c := range answers {
		files = c.file(files, sources[i].name)
	}
	for i, f := range files {
		files[i] = shared(f.name, f.body)
	}
	if len(files) == len(sources) {
		handlers.Store(python, files)
	}
	return files, nil
}

// compile compiles the sources in one process, and returns as many answers. Its
// only error is that of ctx; where the compiler fails, they are zero values.
func compile(ctx context.Context, python interpreter.Interpreter, sources ...[]byte) ([]compiled, error) {
	answers := make([]compiled, len(sources))
	limited, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	p, err := compilers.take(python)
	if err != nil {
		return answers, nil
	}
	out, err := p.compile(limited, framed(sources))
	if ctx.Err() != nil {
		return answers, fmt.Errorf("compile script: %w", context.Cause(ctx))
	}
	if parts := unframed(out); err == nil && len(parts) == len(answers) {
		for i, part := range parts {
			answers[i] = readCompiled(part)
		}
	}
	return answers, nil
}

// framed puts a line with the lengths of the parts before them.
func framed(parts [][]byte) []byte {
	lengths := make([]string, len(parts))
	for i, part := range parts {
		lengths[i] = strconv.Itoa(len(part))
	}
	return append([]byte(strings.Join(lengths, " ")+"\n"), bytes.Join(parts, nil)...)
}

// unframed returns the parts; none where they are not as long as announced.
func unframed(data []byte) (parts [][]byte) {
	lengths, rest, _ := bytes.Cut(data, []byte("\n"))
	for _, field := range strings.Fields(string(lengths)) {
		n, err := strconv.Atoi(field)
		if err != nil || n < 0 || n > len(rest) {
			return nil
		}
		parts, rest = append(parts, rest[:n]), rest[n:]
	}
	return parts
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

// shown is the line of a syntax error, empty if the script is sealed.
func shown(s run.Script, line string) string {
	if s.Sealed {
		return ""
	}
	return line
}

const syntaxError = "SyntaxError"

// syntaxMessage is the message for a syntax error. The handler's import error
// gets the same words.
func syntaxMessage(r run.Runtime, fault string, line int) string {
	on := ""
	if r.Name != "" {
		on = " on " + r.Name
	}
	return fmt.Sprintf("The script does not compile%s: %s (%s).", on, strings.TrimSuffix(fault, "."), place(line))
}
