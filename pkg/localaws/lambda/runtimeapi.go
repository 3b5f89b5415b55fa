package lambda

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
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
func readCall(r *bufio.Reader) (call runtimeCall, err error) {
	text, err := awaitHead(r)
	if err != nil {
		return call, err
	}
	length, err := call.parse(text)
	if err != nil {
		return call, err
	}
	_, _ = r.Discard(len(text))
	return call, call.read(r, length)
}

// awaitHead waits for a complete header of a call, which is valid until the next
// read of r. It fails if the header is larger than the reader's buffer: scripts
// can write to the socket of their runtime, and no header of theirs may fill the
// memory of the whole stack.
func awaitHead(r *bufio.Reader) ([]byte, error) {
	for have := 0; ; {
		if _, err := r.Peek(have + 1); errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("runtime sends a head of more than %d bytes", r.Size())
		} else if err != nil {
			return nil, err
		}
		if head := headIn(r); head != nil {
			return head, nil
		}
		have = r.Buffered()
	}
}

// headIn is the complete header that lies in the reader's buffer, or nil.
func headIn(r *bufio.Reader) []byte {
	buffered, _ := r.Peek(r.Buffered())
	if end := bytes.Index(buffered, endOfHead); end >= 0 {
		return buffered[:end+len(endOfHead)]
	}
	return nil
}

var endOfHead = []byte("\r\n\r\n")

// parse reads a header, and returns the length of the body.
func (c *runtimeCall) parse(head []byte) (length int64, err error) {
	line, fields, _ := strings.Cut(string(head), "\r\n")
	method, rest, _ := strings.Cut(line, " ")
	path, _, isHTTP := strings.Cut(rest, " HTTP/1.")
	path, ours := strings.CutPrefix(path, "/2018-06-01/runtime/")
	invoked, answers := strings.CutPrefix(path, "invocation/")
	switch {
	case !isHTTP || !ours:
		return 0, fmt.Errorf("runtime asks for %q", line)
	case method == http.MethodGet && path == "invocation/next":
		c.kind = callNext
	case method == http.MethodPost && path == "init/error":
		c.kind = callInitError
	case method == http.MethodPost && answers && strings.HasSuffix(invoked, "/response"):
		c.kind, c.id = callResponse, strings.TrimSuffix(invoked, "/response")
	case method == http.MethodPost && answers && strings.HasSuffix(invoked, "/error"):
		c.kind, c.id = callError, strings.TrimSuffix(invoked, "/error")
	default:
		return 0, fmt.Errorf("runtime asks for %q", line)
	}
	for field := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(field, ":")
		switch {
		case strings.EqualFold(name, "Transfer-Encoding"):
			return 0, errors.New("runtime sends a body of unknown length")
		case strings.EqualFold(name, "Content-Length"):
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 63)
			if err != nil {
				return 0, fmt.Errorf("runtime sends a body of length %q", value)
			}
			length = int64(n)
		}
	}
	return length, nil
}

func (c *runtimeCall) read(r io.Reader, length int64) error {
	if length > maxAnswer {
		c.tooLarge = true
		_, err := io.CopyN(io.Discard, r, length)
		return err
	}
	c.body = make([]byte, length)
	_, err := io.ReadFull(r, c.body)
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

// append adds the answer to b.
func (i invocation) append(b []byte) []byte {
	trace := ""
	if i.traceID != "" {
		trace = "Lambda-Runtime-Trace-Id: " + i.traceID + "\r\n"
	}
	b = fmt.Appendf(slices.Grow(b, 512+len(i.payload)),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: %s\r\nLambda-Runtime-Deadline-Ms: %d\r\nLambda-Runtime-Invoked-Function-Arn: %s\r\n%sContent-Length: %d\r\n\r\n",
		i.id, i.deadline, i.arn, trace, len(i.payload))
	return append(b, i.payload...)
}

// acceptance is the answer to a call with a response or an error.
func acceptance(status int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
}
