package memfunction

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Behaviour decides how one call goes. With the zero value the call succeeds at
// once; an Invoke returns null.
type Behaviour struct {
	Duration time.Duration

	// Fault is the class of the error to fail with. Without Executes the call
	// has no effect. With Executes it takes effect and fails all the same, as an
	// Ambiguous one may.
	Fault    function.Class
	Executes bool
	Reason   string // of the fault

	// The rest is for Invoke only.
	Status     run.Status           // Failed, TimedOut or OutOfMemory; empty means succeeded
	Output     json.RawMessage      // what main returned; empty means null
	Invocation *function.Invocation // this answer, instead of one made of the above
	NotTaken   string               // an env runner does not take the script, for this reason: nothing executes
}

// invocation is the answer in the format of the handler, or of Lambda where the
// handler gives none.
func (b Behaviour) invocation(c Call, s function.Spec) function.Invocation {
	if b.Invocation != nil {
		return *b.Invocation
	}
	if b.NotTaken != "" {
		return function.Invocation{Payload: fmt.Appendf(nil, `{"not_taken": {"reason": %q, "message": "a test has the runner refuse"}}`, b.NotTaken)}
	}
	took := b.Duration
	inv := function.Invocation{
		RequestID: fmt.Sprintf("request-%s-%d", c.Name, c.Nth),
		Report:    function.Report{Duration: took, Billed: took, MaxMemoryMB: 40},
	}
	switch b.Status {
	case run.TimedOut:
		inv.FunctionError = "Unhandled"
		inv.Payload = fmt.Appendf(nil, `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: %s Error: Task timed out after %d.00 seconds"}`,
			inv.RequestID, s.TimeoutSeconds)
	case run.OutOfMemory:
		inv.FunctionError = "Unhandled"
		inv.Payload = fmt.Appendf(nil, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: %s Error: Runtime exited with error: signal: killed"}`,
			inv.RequestID)
	case run.Failed:
		inv.Payload = answer(`null`, `{"type":"ValueError","message":"a test made the script fail","traceback":"","phase":"run","line":1}`)
	default:
		output := string(b.Output)
		if output == "" {
			output = "null"
		}
		inv.Payload = answer(output, "null")
	}
	return inv
}

func answer(output, err string) []byte {
	return fmt.Appendf(nil, `{"output": %s, "error": %s, "stdout": "", "stderr": "", "truncated": false}`,
		output, err)
}
