package lambda

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxAnswer is the limit of a function's answer: 6 MB, and the 100 bytes that
// Lambda adds.
const maxAnswer = 6<<20 + 100

// The calls of the Runtime API.
type callKind int

const (
	callNext callKind = iota
	callResponse
	callError
	callInitError
)

// runtimeCall is one call of an environment's runtime.
type runtimeCall struct {
	kind     callKind
	id       string // the invocation that a response or an error answers
	body     []byte
	tooLarge bool // the body was larger than maxAnswer and was dropped
}

// readCall reads the next call. With an error the environment is broken, and
// the returned call is meaningless.
func readCall(r *bufio.Reader) (runtimeCall, error) {
	if err := awaitHead(r); err != nil {
		return runtimeCall{}, err
	}
	req, err := http.ReadRequest(r)
	if err != nil {
		return runtimeCall{}, err
	}
	defer req.Body.Close()
	var call runtimeCall
	path, ok := strings.CutPrefix(req.URL.Path, "/2018-06-01/runtime/")
	rest, answered := strings.CutPrefix(path, "invocation/")
	switch {
	case !ok:
		return call, fmt.Errorf("runtime asks for %q", req.URL.Path)
	case req.Method == http.MethodGet && path == "invocation/next":
		call.kind = callNext
	case req.Method == http.MethodPost && path == "init/error":
		call.kind = callInitError
	case req.Method == http.MethodPost && answered && strings.HasSuffix(rest, "/response"):
		call.kind, call.id = callResponse, strings.TrimSuffix(rest, "/response")
	case req.Method == http.MethodPost && answered && strings.HasSuffix(rest, "/error"):
		call.kind, call.id = callError, strings.TrimSuffix(rest, "/error")
	default:
		return call, fmt.Errorf("runtime asks for %s %q", req.Method, req.URL.Path)
	}
	return call, call.read(req)
}

// awaitHead waits for a complete header of a call. It fails if the header is
// larger than the reader's buffer: net/http would read a header of any length
// into memory of the whole stack, and scripts can write to the socket of their
// runtime.
func awaitHead(r *bufio.Reader) error {
	for have := 0; ; {
		if _, err := r.Peek(have + 1); errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("runtime sends a head of more than %d bytes", r.Size())
		} else if err != nil {
			return err
		}
		have = r.Buffered()
		if head, _ := r.Peek(have); bytes.Contains(head, endOfHead) {
			return nil
		}
	}
}

var endOfHead = []byte("\r\n\r\n")

func (c *runtimeCall) read(req *http.Request) error {
	if req.ContentLength < 0 {
		return errors.New("runtime sends a body of unknown length")
	}
	if req.ContentLength > maxAnswer {
		c.tooLarge = true
		_, err := io.Copy(io.Discard, req.Body)
		return err
	}
	c.body = make([]byte, req.ContentLength)
	_, err := io.ReadFull(req.Body, c.body)
	return err
}

// invocation is the answer to a runtime's call for the next invocation.
type invocation struct {
	id       string
	arn      string
	traceID  string
	deadline int64 // Unix milliseconds
	payload  []byte
}

func (i invocation) write(w io.Writer) error {
	trace := ""
	if i.traceID != "" {
		trace = "Lambda-Runtime-Trace-Id: " + i.traceID + "\r\n"
	}
	answer := fmt.Appendf(make([]byte, 0, 512+len(i.payload)),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: %s\r\nLambda-Runtime-Deadline-Ms: %d\r\nLambda-Runtime-Invoked-Function-Arn: %s\r\n%sContent-Length: %d\r\n\r\n",
		i.id, i.deadline, i.arn, trace, len(i.payload))
	_, err := w.Write(append(answer, i.payload...))
	return err
}

// accept answers a call with a response or an error.
func accept(w io.Writer, status int) error {
	_, err := fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
	return err
}
