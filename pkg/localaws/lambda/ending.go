package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

// end ends an environment that did not answer, and returns Lambda's error for
// it: a timeout, or how its process ended.
func (e *environment) end(id string, cause error, took time.Duration) outcome {
	o := outcome{functionError: "Unhandled", dead: true, took: took}
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		e.kill()
		text := fmt.Sprintf("Task timed out after %.2f seconds", float64(e.program.timeoutSeconds))
		o.payload = errorBody("Sandbox.Timedout", "RequestId: "+id+" Error: "+text)
		e.log.drain()
		e.log.printf("%s %s %s\n\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), id, text)
		e.log.report(id, took, e.takeInit(), e.program.memoryMB, e.proc.Wait().PeakMemory, "Status: timeout")
		o.log = e.log.tail()
		return o
	}
	exit := e.exit(cause)
	text := "Runtime exited without providing a reason"
	switch {
	case exit.Signal != "":
		text = "Runtime exited with error: signal: " + exit.Signal
	case exit.Code != 0:
		text = fmt.Sprintf("Runtime exited with error: exit status %d", exit.Code)
	}
	peak := exit.PeakMemory
	if exit.OutOfMemory {
		peak = int64(e.program.memoryMB) << 20
	}
	text = "RequestId: " + id + " Error: " + text
	o.payload = errorBody("Runtime.ExitError", text)
	e.log.drain()
	e.log.printf("%s\nRuntime.ExitError\n", text)
	e.log.report(id, took, e.takeInit(), e.program.memoryMB, peak, "Status: error\tError Type: Runtime.ExitError\t")
	o.log = e.log.tail()
	return o
}

// exit returns how an environment's process ended. If it only closed its
// Runtime API, exit waits a moment (a busy machine reaps it late) and then
// kills it. If it sent invalid data, exit kills it at once.
func (e *environment) exit(cause error) sandbox.Exit {
	moment := 2 * time.Second
	if !wentAway(cause) {
		moment = 0
	}
	select {
	case <-e.proc.Gone():
		return e.proc.Wait()
	case <-time.After(moment):
		e.kill()
		return sandbox.Exit{}
	}
}

// wentAway tells whether an error of the Runtime API means that the process
// closed it.
func wentAway(err error) bool {
	var failed *errInit
	for _, is := range []error{io.EOF, io.ErrUnexpectedEOF, unix.EPIPE, unix.ECONNRESET, sandbox.ErrGone} {
		if errors.Is(err, is) {
			return true
		}
	}
	return errors.As(err, &failed)
}

// kill ends the environment, and returns once its processes have ended.
func (e *environment) kill() {
	e.closed.Do(func() {
		e.proc.Kill()
		e.api.Close()
	})
}

// errorBody is the answer where a function gave none.
func errorBody(kind, text string) []byte {
	body, _ := json.Marshal(struct {
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{kind, text})
	return body
}

// withRequestID sets the request id that the runtime leaves empty.
func withRequestID(body []byte, id string) []byte {
	var fields struct {
		Message string   `json:"errorMessage"`
		Type    string   `json:"errorType"`
		Request string   `json:"requestId"`
		Trace   []string `json:"stackTrace"`
	}
	if json.Unmarshal(body, &fields) != nil {
		return body
	}
	fields.Request = id
	if full, err := json.Marshal(fields); err == nil {
		return full
	}
	return body
}
