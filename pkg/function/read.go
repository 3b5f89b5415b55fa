package function

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Outcome is the result of an invocation as far as the script is concerned.
type Outcome struct {
	Status run.Status
	Output json.RawMessage // exactly what main returned; null unless Status is succeeded
	Error  *run.Error      // nil if Status is succeeded
	Logs   run.Logs
	Report Report // Lambda's own figures

	// Uncompiled is set if the script has a syntax error: an env runner finds what
	// else its build would have.
	Uncompiled bool
}

// answer is the JSON that the handler returns.
type answer struct {
	Output    json.RawMessage `json:"output"`
	Error     *scriptError    `json:"error"`
	Stdout    *string         `json:"stdout"` // always set: its absence shows that the answer is not our handler's
	Stderr    string          `json:"stderr"`
	Truncated bool            `json:"truncated"`

	// From an env runner, where the script's process gave no answer: what Lambda
	// would have answered, and the end of that process's log.
	Ended *lambdaError `json:"ended"`
	Log   string       `json:"log"`

	MaxMemoryMB int `json:"max_memory_mb"` // of the script's process, from an env runner
}

// scriptError is an error in the handler's answer.
type scriptError struct {
	Type      string `json:"type"`
	Message   string `json:"message"`
	Traceback string `json:"traceback"`
	Phase     string `json:"phase"` // import, run or output
	Line      int    `json:"line"`  // of script.py; 0 where no line caused it
	Ours      bool   `json:"ours"`  // the handler raised it, so type and message are ours; else a class of the script's
	clues
}

// lambdaError is the JSON of Lambda's own errors.
type lambdaError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`

	StackTrace json.RawMessage `json:"stackTrace"`
}

var null = json.RawMessage("null")

// Read turns an invocation of script s into an outcome. It never fails: an
// unreadable answer becomes a platform_error.
func Read(inv Invocation, s run.Script) Outcome {
	if inv.Report == (Report{}) {
		inv.Report = ParseReport(inv.LogTail)
	}
	if s.Sealed {
		s.Source = "" // so that no line of it is quoted
	}
	o := read(&inv, s)
	o.Report = inv.Report
	if o.Error != nil {
		o.Output = null
	}
	return o
}

func read(inv *Invocation, s run.Script) Outcome {
	if inv.FunctionError != "" {
		var e lambdaError
		if json.Unmarshal(inv.Payload, &e) != nil {
			e = lambdaError{Message: excerpt(string(inv.Payload))}
		}
		return readLambdaError(e, *inv, s)
	}
	var a answer
	err := json.Unmarshal(inv.Payload, &a)
	inv.Report.MaxMemoryMB = max(inv.Report.MaxMemoryMB, a.MaxMemoryMB)
	if err == nil && a.Ended != nil && (a.Ended.Type == timedOutType || a.Ended.Type == exitType) {
		return readLambdaError(*a.Ended, Invocation{LogTail: a.Log}, s)
	}
	if err != nil || a.Stdout == nil || len(a.Output) == 0 && a.Error == nil {
		return broken("UnreadableAnswer", fmt.Sprintf("The function's answer is not one of its handler's: %s. "+sendAgain, quoted(string(inv.Payload))))
	}
	o := Outcome{
		Status: run.Succeeded,
		Output: a.Output,
		Logs:   run.Logs{Stdout: *a.Stdout, Stderr: a.Stderr, Truncated: a.Truncated},
	}
	if a.Error != nil {
		o.Status, o.Error = readScriptError(*a.Error, s)
		o.Uncompiled = a.Error.Ours && a.Error.Type == syntaxError
	}
	return o
}

// readScriptError builds the error for a fault of the script. Types are
// compared only if Ours is set, because a class of the script's may have any
// name.
func readScriptError(e scriptError, s run.Script) (run.Status, *run.Error) {
	status, message := run.Failed, e.Message
	switch {
	case e.Ours && e.Type == "MemoryError":
		status = run.OutOfMemory
		message = fmt.Sprintf("The script took more memory than its %d MB (%s): process less at a time.", s.MemoryMB, place(e.Line))
	case e.Ours && e.Type == syntaxError:
		message = syntaxMessage(s.Runtime, e.Message, e.Line)
	case e.Ours:
	case e.Phase == "import":
		message = fmt.Sprintf("Importing the script raised %s (%s).%s", named(e), place(e.Line), hint(e))
	default:
		message = fmt.Sprintf("main raised %s (%s).%s", named(e), place(e.Line), hint(e))
	}
	return status, &run.Error{Owner: run.OwnerAuthor, Type: e.Type, Message: message, Traceback: e.Traceback}
}

// place names a line of the script, or the script alone where line is 0.
func place(line int) string {
	if line <= 0 {
		return pythonFile
	}
	return fmt.Sprintf("%s, line %d", pythonFile, line)
}

func named(e scriptError) string {
	name := e.Type
	if message := strings.TrimSuffix(e.Message, "."); message != "" {
		name += ": " + message
	}
	if e.First != "" {
		name += "; the first of them is " + e.First
	}
	return name
}

// broken is the outcome of a function that is at fault itself, whatever the
// script does.
func broken(kind, message string) Outcome {
	return Outcome{Status: run.PlatformError, Output: null,
		Error: &run.Error{Owner: run.OwnerPlatform, Type: kind, Message: message, Retryable: true}}
}

const sendAgain = "Send the run again; if it fails again, tell the platform's operator."

// quoted is a text that stands within a sentence.
func quoted(s string) string { return strings.TrimSuffix(excerpt(s), ".") }

// excerpt shortens text that a message quotes.
func excerpt(s string) string {
	const most = 300
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:most]), nil)) + " …"
}
