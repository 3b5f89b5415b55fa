package function

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Lambda's error types for a process that it ended, and for one that ended
// itself.
const (
	timedOutType = "Sandbox.Timedout"
	exitType     = "Runtime.ExitError"
)

// readLambdaError turns an error of Lambda's own into an outcome, where the
// handler gave no answer.
func readLambdaError(e lambdaError, inv Invocation, s run.Script) Outcome {
	words, spoke := parseLastWords(inv.LogTail, inv.RequestID)
	var o Outcome
	switch {
	case e.Type == timedOutType || strings.Contains(e.Message, "Task timed out after"):
		if !spoke || words.Request == "" { // no last words, or only those of the import
			if stack := parseFaultStack(inv.LogTail); stack != nil {
				words.Stack = stack
			}
		}
		o = timedOut(words, s)
	case words.By != "":
		o = exited(e, words, inv.LogTail)
	case e.Type == "Runtime.OutOfMemory", e.Type == "MemoryError",
		e.Type == exitType && strings.Contains(e.Message, "signal: killed"):
		o = failure(run.OutOfMemory, "MemoryError", fmt.Sprintf(
			"The script took more memory than its %d MB and was ended: process less at a time.", s.MemoryMB))
	case e.Type == exitType:
		o = exited(e, words, inv.LogTail)
	case strings.HasSuffix(e.Type, "ResponseSizeTooLarge"), strings.Contains(e.Message, "Response payload size exceeded"):
		o = failure(run.Failed, "OutputTooLarge", fmt.Sprintf(
			"The output is larger than the %d bytes that a function returns at most: return less, or put it somewhere and return where.", MaxPayloadBytes))
	case e.Type == "Runtime.MarshalError":
		o = failure(run.Failed, "OutputNotJSON", fmt.Sprintf("main has to return JSON, and the output cannot be sent: %s.", quoted(e.Message)))
	case e.afterLoading():
		o = failure(run.Failed, "PythonBroken", fmt.Sprintf(
			"The script, or a thread that it left, broke the function outside of main (%s: %s): leave Python's own modules and the handler's as they are.",
			excerpt(e.Type), quoted(e.Message)))
	case importFailed[e.Type], pythons[e.Type] && s.Requirements != "":
		o = unimportable(e, s)
	default:
		kind := e.Type
		if kind == "" {
			kind = "FunctionFailed"
		}
		o = broken(kind, fmt.Sprintf("The function failed outside of the script: %s. "+sendAgain, quoted(e.Message)))
	}
	o.Logs = run.Logs{Stdout: words.Stdout, Stderr: words.Stderr, Truncated: spoke && words.Truncated}
	return o
}

func failure(status run.Status, kind, message string) Outcome {
	return Outcome{Status: status, Output: null, Error: &run.Error{Owner: run.OwnerAuthor, Type: kind, Message: message}}
}

func timedOut(w lastWords, s run.Script) Outcome {
	where := ""
	if line := w.innermost(); line > 0 {
		where = fmt.Sprintf(" It stood in %s", place(line))
		if text := strings.TrimSpace(sourceLine(s.Source, line)); text != "" {
			where += ": " + excerpt(text)
		}
		where += "."
	}
	o := failure(run.TimedOut, "Timeout", fmt.Sprintf(
		"The script was ended after its timeout of %d s.%s Make it faster, or raise the action's timeout (timeout_seconds).", s.TimeoutSeconds, where))
	o.Error.Traceback = w.traceback(s.Source)
	return o
}

// exited is the outcome of a script that ended its process: os._exit, a crash
// in C code, or a signal.
func exited(e lambdaError, w lastWords, logTail string) Outcome {
	how, mend := "without a reason", "return from main instead of calling os._exit, and mind libraries that crash"
	if w.Exit != nil {
		how = fmt.Sprintf("with exit status %d", *w.Exit)
	} else if w.By != "" {
		how, mend = "with "+w.By, "the signal reached the function itself, so name the process that it is meant for"
	} else if _, reason, ok := strings.Cut(e.Message, "Runtime exited with error: "); ok {
		how = "with " + excerpt(strings.TrimSpace(reason))
		if strings.HasPrefix(reason, "signal: ") {
			mend = "mind libraries that crash, and signals that the script sends"
		}
	}
	if line := w.innermost(); line > 0 {
		how += fmt.Sprintf(" (%s)", place(line))
	}
	o := failure(run.Failed, "ExitError", fmt.Sprintf("The script ended its process %s before main returned: %s.", how, mend))
	if len(w.Stack) == 0 {
		w.Stack = parseFaultStack(logTail)
	}
	o.Error.Traceback = w.traceback("")
	return o
}

// folders match a module's folder in Python's import errors, such as "
// (/var/task/script.py)".
var folders = regexp.MustCompile(` \(/[^()]*\)`)

// importFailed are Lambda's error types for a handler that could not be loaded.
var importFailed = map[string]bool{
	"Runtime.ImportModuleError": true, "Runtime.UserCodeSyntaxError": true,
	"Runtime.HandlerNotFound": true, "Runtime.MalformedHandlerName": true,
}

// afterLoading tells whether Python raised the error after the handler was
// loaded; the loaded handler raises nothing by itself, so the script caused it.
// Types with a dot are Lambda's own. An error belongs to the loading if its
// type is one of pythons and the handler's function is in none of its frames.
func (e lambdaError) afterLoading() bool {
	if e.Type == "" || strings.Contains(e.Type, ".") {
		return false
	}
	return !pythons[e.Type] || bytes.Contains(e.StackTrace, []byte(handlerFile)) && bytes.Contains(e.StackTrace, []byte("in handle"))
}

// pythons are the errors that Python raises while it loads the handler if a
// requirement replaces a module of Python's own.
var pythons = map[string]bool{
	"AttributeError": true, "ImportError": true, "ModuleNotFoundError": true, "NameError": true, "SyntaxError": true, "TypeError": true,
}

// unimportable is the outcome of a handler that could not be loaded. The
// handler loads by itself, so if the script has requirements, one of them
// replaces a module of Python's own; without requirements it is the platform's
// fault.
func unimportable(e lambdaError, s run.Script) Outcome {
	kind := strings.TrimPrefix(e.Type, "Runtime.")
	if s.Requirements != "" {
		return failure(run.Failed, kind, "One of the requirements takes the place of a module of Python's own, so that nothing can be imported: "+
			quoted(folders.ReplaceAllString(e.Message, ""))+". Remove the backport from the requirements.")
	}
	return broken(kind, fmt.Sprintf("The function's handler cannot be loaded: %s. "+sendAgain, quoted(e.Message)))
}
