package function

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// lastWordsMark begins the line that the handler writes to its log shortly
// before its time is up, or as the script ends the process.
const lastWordsMark = "SCRIPTFLEET-LAST-WORDS "

// lastWords is what a process told before it was ended.
type lastWords struct {
	Request   string   `json:"request"` // empty while the script is imported
	Stack     []frame  `json:"stack"`   // the script's frames and those below, innermost last
	Stdout    string   `json:"stdout"`
	Stderr    string   `json:"stderr"`
	Truncated bool     `json:"truncated"`
	Exit      *int     `json:"exit"` // of os._exit; nil where the script did not call it
	By        string   `json:"by"`   // the function with which the script sent its own process a signal
	Beside    []beside `json:"beside"`
}

// beside is a stack of the script's that is not main's: [what it is, how many
// stand so, stack] in JSON.
type beside struct {
	What  string // thread, coroutine or greenlet
	Count int
	Stack []frame
}

func (b *beside) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&b.What, &b.Count, &b.Stack})
}

// frame is [file, line, function] in JSON.
type frame struct {
	File     string
	Line     int
	Function string
}

func (f *frame) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&f.File, &f.Line, &f.Function})
}

// parseLastWords finds the last words of the request in the end of its log.
func parseLastWords(logTail, requestID string) (lastWords, bool) {
	at := strings.LastIndex(logTail, lastWordsMark)
	if at < 0 {
		return lastWords{}, false
	}
	line, _, _ := strings.Cut(logTail[at+len(lastWordsMark):], "\n")
	var w lastWords
	if json.Unmarshal([]byte(line), &w) != nil {
		return lastWords{}, false
	}
	if w.Request != "" && requestID != "" && w.Request != requestID {
		return lastWords{}, false
	}
	return w, true
}

// faultFrame is a frame as Python's faulthandler writes it, innermost first.
var faultFrame = regexp.MustCompile(`^  File "([^"]*)", line (\d+) in (.*)$`)

// parseFaultStack finds the frames of the script in what faulthandler wrote to
// the log. They are all there is when main never let go of the interpreter, or
// crashed it.
func parseFaultStack(logTail string) []frame {
	var stack []frame
	for line := range strings.SplitSeq(logTail, "\n") {
		m := faultFrame.FindStringSubmatch(line)
		if m == nil {
			stack = stack[:0] // another thread
			continue
		}
		f := frame{File: path.Base(m[1]), Function: m[3]}
		f.Line, _ = strconv.Atoi(m[2])
		if f.File == handlerFile { // what called main: the frames so far are those asked for
			if stack = scriptFrames(stack); stack != nil {
				return stack
			}
			continue // the thread that watches
		}
		stack = append([]frame{f}, stack...)
	}
	return nil
}

// scriptFrames leaves the script's own frames and those below them.
func scriptFrames(stack []frame) []frame {
	for i, f := range stack {
		if f.File == pythonFile {
			return stack[i:]
		}
	}
	return nil
}

// innermost is the line of the script where it stood: main, or else the first
// of what stands beside it. It is 0 where that is unknown.
func (w lastWords) innermost() int {
	stack := w.Stack
	if len(stack) == 0 && len(w.Beside) > 0 {
		stack = w.Beside[0].Stack
	}
	line := 0
	for _, f := range stack {
		if f.File == pythonFile {
			line = f.Line
		}
	}
	return line
}

// traceback writes the stacks as Python would, with the script's own lines.
func (w lastWords) traceback(source string) string {
	var b strings.Builder
	if len(w.Stack) > 0 {
		b.WriteString("Traceback (most recent call last):\n")
		writeStack(&b, w.Stack, source)
	}
	for _, s := range w.Beside {
		fmt.Fprintf(&b, "In %s:\n", counted(s.Count, s.What))
		writeStack(&b, s.Stack, source)
	}
	return b.String()
}

func counted(n int, what string) string {
	if n == 1 {
		return "another " + what
	}
	return fmt.Sprintf("%d other %ss", n, what)
}

func writeStack(b *strings.Builder, stack []frame, source string) {
	for _, f := range stack {
		fmt.Fprintf(b, "  File %q, line %d, in %s\n", f.File, f.Line, f.Function)
		if text := strings.TrimSpace(sourceLine(source, f.Line)); f.File == pythonFile && text != "" {
			fmt.Fprintf(b, "    %s\n", excerpt(text))
		}
	}
}

// sourceLine is a line of the source, counted from 1; empty where there is none.
func sourceLine(source string, line int) string {
	for text := range strings.Lines(source) {
		if line--; line == 0 {
			return text
		}
	}
	return ""
}
