package run

import (
	"encoding/json"
	"fmt"
	"time"
)

// Status says how a run ended.
type Status string

const (
	Succeeded     Status = "succeeded"
	Failed        Status = "failed"
	TimedOut      Status = "timed_out"
	OutOfMemory   Status = "out_of_memory"
	BuildFailed   Status = "build_failed"
	Rejected      Status = "rejected"
	Expired       Status = "expired"
	Cancelled     Status = "cancelled"
	PlatformError Status = "platform_error"
)

// Statuses lists every status, in the order that reports show them.
var Statuses = []Status{Succeeded, Failed, TimedOut, OutOfMemory, BuildFailed, Rejected, Expired, Cancelled, PlatformError}

// Owner says whose an error is to mend.
type Owner string

const (
	OwnerAuthor   Owner = "author"
	OwnerOperator Owner = "operator"
	OwnerPlatform Owner = "platform"
)

// Error is what a result says of a run that did not succeed, and the one error
// type in which the packages tell each other of a failure that somebody has to
// mend: it ends up in the result as it is.
type Error struct {
	Owner     Owner  `json:"owner"`
	Type      string `json:"type"`      // a name to branch on, such as KeyError or RequirementNotFound
	Message   string `json:"message"`   // a sentence that says what to do
	Traceback string `json:"traceback"` // the author's frames only
	Retryable bool   `json:"retryable"`

	// Field is the path of the request's field at fault, such as
	// data.timeout_seconds. The message names it too.
	Field string `json:"-"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%s): %s", e.Type, e.Owner, e.Message) }

// Result is the event that ends a run, as it stands on the results queue.
type Result struct {
	SpecVersion string     `json:"specversion"`
	Type        string     `json:"type"`
	Source      string     `json:"source"`
	ID          Key        `json:"id"`
	Subject     string     `json:"subject"` // the id of the request
	Time        time.Time  `json:"time"`
	Tenant      string     `json:"tenant"`
	Traceparent string     `json:"traceparent,omitempty"`
	Tracestate  string     `json:"tracestate,omitempty"`
	Data        ResultData `json:"data"`
}

// ResultData is the outcome of a run.
type ResultData struct {
	Story           string          `json:"story"` // the source of the request
	Action          string          `json:"action"`
	Status          Status          `json:"status"`
	Output          json.RawMessage `json:"output"` // exactly what main returned; null where it did not
	Error           *Error          `json:"error"`
	Logs            Logs            `json:"logs"`
	Attempt         int             `json:"attempt"` // 1 for the first
	MayHaveExecuted bool            `json:"may_have_executed"`
	Function        *FunctionInfo   `json:"function"` // null where no function was reached
	Build           BuildInfo       `json:"build"`
	Timings         Timings         `json:"timings_ms"`
}

// CancelOutput is the output of the result of a cancellation, whose status is
// succeeded once it was carried out, whatever it found.
type CancelOutput struct {
	// Cancelled is set where the run was waiting: it is answered as cancelled
	// and not executed. A run that executes is let finish.
	Cancelled bool   `json:"cancelled"`
	Run       string `json:"run"` // the id that was to be cancelled
	// State is what the run was in: queued or claimed (waiting), invoking, done,
	// published. It is unknown where the fleet knows no run of this tenant,
	// source and id: nothing was cancelled then, and should the request still
	// come, its run is answered as cancelled.
	State string `json:"state"`
}

// Logs is what the script printed, each stream bounded by the handler.
type Logs struct {
	Stdout    string `json:"stdout"`
	Stderr    string `json:"stderr"`
	Truncated bool   `json:"truncated"`
}

// FunctionInfo tells of the function that executed the run.
type FunctionInfo struct {
	ScriptHash  ScriptHash `json:"script_hash"`
	EnvHash     EnvHash    `json:"env_hash"`
	Runtime     string     `json:"runtime"`
	ColdStart   bool       `json:"cold_start"`
	MaxMemoryMB int        `json:"max_memory_mb"`
	BilledMS    int        `json:"billed_ms"`
}

// BuildOutcome says what the run saw of its script's build.
type BuildOutcome string

const (
	BuildNone              BuildOutcome = "" // the run ended before any build was needed
	BuildReused            BuildOutcome = "reused"
	BuildBuilt             BuildOutcome = "built"
	BuildWaited            BuildOutcome = "waited"
	BuildDidFail           BuildOutcome = "failed"
	BuildRememberedFailure BuildOutcome = "remembered_failure"
)

// BuildInfo tells of the build that the run needed.
type BuildInfo struct {
	Outcome  BuildOutcome `json:"outcome"`
	WaitedOn *string      `json:"waited_on"` // the worker that led the build
	Log      *string      `json:"log"`       // the resolver's and the compiler's words
}

// Timings accounts for the whole life of a run in milliseconds: the stages add
// up to Total.
type Timings struct {
	Intake    int64 `json:"intake"`     // from the requests queue to a partition
	Queue     int64 `json:"queue"`      // waiting: on the partition, put back, for a slot
	BuildWait int64 `json:"build_wait"` // waiting for a build that another run leads
	Build     int64 `json:"build"`      // leading the build
	Init      int64 `json:"init"`       // the function's cold start
	Execute   int64 `json:"execute"`    // main, and the way to it
	Publish   int64 `json:"publish"`    // from the function's answer to the result's sending
	Total     int64 `json:"total"`
}
