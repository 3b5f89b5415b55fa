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

// Owner says who has to mend an error.
type Owner string

const (
	OwnerAuthor   Owner = "author"
	OwnerOperator Owner = "operator"
	OwnerPlatform Owner = "platform"
)

// Error is the error of a result. A package that fails for a reason that a
// person has to mend returns one, and it reaches the result unchanged.
type Error struct {
	Owner     Owner  `json:"owner"`
	Type      string `json:"type"`      // a name to branch on, such as KeyError or RequirementNotFound
	Message   string `json:"message"`   // a sentence that says what to do
	Traceback string `json:"traceback"` // the author's frames only
	Retryable bool   `json:"retryable"`

	// Field is the path of the request's field at fault, such as
	// data.timeout_seconds. The message names it too.
	// Empty for errors that are not about a field.
	Field string `json:"-"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%s): %s", e.Type, e.Owner, e.Message) }

// Result is the event that ends a run, on the results queue.
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
	ScriptRef       string          `json:"script_ref,omitempty"` // id@version that was accepted, where the request had a script_ref
	Status          Status          `json:"status"`
	Warning         string          `json:"warning,omitempty"` // Run.Warning
	Output          json.RawMessage `json:"output"`            // exactly what main returned; null where it did not return
	Error           *Error          `json:"error"`
	Logs            Logs            `json:"logs"`
	Attempt         int             `json:"attempt"` // 1 for the first attempt; 0 where the script was not invoked
	MayHaveExecuted bool            `json:"may_have_executed"`
	Function        *FunctionInfo   `json:"function"` // null where no function was reached
	Build           BuildInfo       `json:"build"`
	Timings         Timings         `json:"timings_ms"`
}

// CancelOutput is the output of a cancellation's result. The status of that
// result is succeeded, also where there was no run to cancel.
type CancelOutput struct {
	// Cancelled is set where the run was still waiting: it is not executed, and
	// its result is cancelled. A run that executes already is not cut off.
	Cancelled bool   `json:"cancelled"`
	Run       string `json:"run"` // the id in the cancellation's data.run
	// State is the run's state at that time: queued or claimed (waiting),
	// invoking, done, published. It is unknown where the fleet has no run of
	// this tenant, source and id. If its request comes later, its result is
	// cancelled.
	State string `json:"state"`
}

// Logs is the output of the script on its two streams. The handler bounds each
// of them; Truncated tells that it cut one.
type Logs struct {
	Stdout    string `json:"stdout"`
	Stderr    string `json:"stderr"`
	Truncated bool   `json:"truncated"`
}

// FunctionInfo describes the function that executed the run.
type FunctionInfo struct {
	ScriptHash  ScriptHash `json:"script_hash"`
	EnvHash     EnvHash    `json:"env_hash"`
	Runtime     string     `json:"runtime"`
	Runner      bool       `json:"runner"` // the tenant's env runner executed the script, not its own function
	ColdStart   bool       `json:"cold_start"`
	MaxMemoryMB int        `json:"max_memory_mb"`
	BilledMS    int        `json:"billed_ms"`
}

// BuildOutcome says how the run got its script's function.
type BuildOutcome string

const (
	BuildNone              BuildOutcome = "" // the run ended before any build was needed
	BuildReused            BuildOutcome = "reused"
	BuildBuilt             BuildOutcome = "built"
	BuildWaited            BuildOutcome = "waited"
	BuildBridged           BuildOutcome = "bridged" // an env runner executed it, while or before its function is built
	BuildDidFail           BuildOutcome = "failed"
	BuildRememberedFailure BuildOutcome = "remembered_failure"
)

// BuildOutcomes lists every outcome besides BuildNone.
var BuildOutcomes = []BuildOutcome{BuildReused, BuildBuilt, BuildWaited, BuildBridged, BuildDidFail, BuildRememberedFailure}

// BuildInfo describes the build that the run needed.
type BuildInfo struct {
	Outcome  BuildOutcome `json:"outcome"`
	WaitedOn *string      `json:"waited_on"` // the worker that led the build
	Log      *string      `json:"log"`       // output of the resolver and the compiler
	// Packages are the packages of the script's layer, such as
	// requests==2.32.3, as far as the worker knows them: the first
	// MaxNamedPackages, sorted.
	Packages []string `json:"packages,omitempty"`
}

// Timings accounts for the whole life of a run in milliseconds: the stages add
// up to Total.
type Timings struct {
	Intake    int64 `json:"intake"`     // from the requests queue to a partition
	Queue     int64 `json:"queue"`      // waiting on the partition, for a turn and for a slot, put back included
	BuildWait int64 `json:"build_wait"` // waiting for a build that another run leads
	Build     int64 `json:"build"`      // leading the build
	Init      int64 `json:"init"`       // the function's cold start
	Execute   int64 `json:"execute"`    // main, and the call of Lambda around it
	Publish   int64 `json:"publish"`    // from the function's answer to the sending of the result
	Total     int64 `json:"total"`
}
