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
// before the timeout, or when the script ends the process.
const lastWordsMark = "SCRIPTFLEET-LAST-WORDS "

// lastWords is the handler's last report from a process that was then ended.
type lastWords struct {
	Request   string   `json:"request"` // request id; empty during the import
	Stack     []frame  `json:"stack"`   // the script's frames and those below, innermost last
	Stdout    string   `json:"stdout"`
	Stderr    string   `json:"stderr"`
	Truncated bool     `json:"truncated"`
	Exit      *int     `json:"exit"` // status of os._exit; nil where the script did not call it
	By        string   `json:"by"`   // the call by which the script sent a signal to its own process, such as os.kill
	Beside    []beside `json:"beside"`
}

// beside is a stack of the script other than main's, in JSON [kind, number of
// equal stacks, stack].
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

// parseLastWords finds the last words of the given request in its log tail.
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

// faultFrame matches a frame as Python's faulthandler writes it; the innermost
// is first.
var faultFrame = regexp.MustCompile(`^  File "([^"]*)", line (\d+) in (.*)$`)

// parseFaultStack finds the script's frames in the output of faulthandler. This
// is the only stack if main never released the interpreter (the GIL), or
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
		if f.File == handlerFile { // the caller of main: the frames so far are main's
			if stack = scriptFrames(stack); stack != nil {
				return stack
			}
			continue // the handler's own watching thread
		}
		stack = append([]frame{f}, stack...)
	}
	return nil
}

// scriptFrames cuts a stack to the script's outermost frame and all frames
// inside it.
func scriptFrames(stack []frame) []frame {
	for i, f := range stack {
		if f.File == pythonFile {
			return stack[i:]
		}
	}
	return nil
}

// innermost is the innermost line of the script on main's stack, or else on the
// first other stack. It is 0 where that is unknown.
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

// traceback formats the stacks as Python does, with the script's own source
// lines.
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

// sourceLine is line n of the source, counted from 1, or "" if there is none.
func sourceLine(source string, line int) string {
	for text := range strings.Lines(source) {
		if line--; line == 0 {
			return text
		}
	}
	return ""
}
