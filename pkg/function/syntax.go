package function

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// syntaxCheck compiles a script without executing any of it, and limits its own
// memory and processor time first: a compiler can be made to use a lot of both.
//
//go:embed handler/check_syntax.py
var syntaxCheck string

// syntaxTimeout bounds a check. One that takes longer says nothing: the
// function's import will.
const syntaxTimeout = 10 * time.Second

// syntaxFault is what the check prints; empty where the script compiles.
type syntaxFault struct {
	Message string `json:"message"`
	Line    int    `json:"line"`
	Shown   string `json:"shown"` // the line and a caret under the fault
}

// checkSyntax has the runtime's own interpreter compile the script. Without
// that interpreter, or where it breaks down, it finds nothing wrong.
func (p Packager) checkSyntax(ctx context.Context, s run.Script) error {
	python, ok := p.Interpreters.For(s.Runtime.Python)
	if !ok {
		return nil
	}
	checking, cancel := context.WithTimeout(ctx, syntaxTimeout)
	defer cancel()
	// Isolated, without site: nothing of this machine's is imported.
	check := exec.CommandContext(checking, python.Path, "-I", "-S", "-B", "-W", "ignore", "-c", syntaxCheck)
	check.Env = []string{}
	check.Stdin = strings.NewReader(s.Source)
	check.WaitDelay = time.Second
	out, err := check.Output()
	if ctx.Err() != nil {
		return fmt.Errorf("check syntax: %w", context.Cause(ctx))
	}
	var fault syntaxFault
	if err != nil || json.Unmarshal(bytes.TrimSpace(out), &fault) != nil || fault.Message == "" {
		return nil
	}
	return &run.Error{Owner: run.OwnerAuthor, Type: syntaxError, Field: "data.script",
		Message:   syntaxMessage(fault.Message, fault.Line),
		Traceback: fault.Shown}
}

const syntaxError = "SyntaxError"

// syntaxMessage words a syntax error; the handler's import error reads the same.
func syntaxMessage(message string, line int) string {
	return fmt.Sprintf("The script does not compile: %s (script.py, line %d).", strings.TrimSuffix(message, "."), line)
}
