package run

import (
	"encoding/json"
	"time"
)

// The types of events: the first three are on the requests queue, TypeFinished
// is on the results queue.
const (
	TypeRequested = "scriptfleet.run.requested"
	TypeCancelled = "scriptfleet.run.cancelled"
	TypeSaved     = "scriptfleet.script.saved"
	TypeFinished  = "scriptfleet.run.finished"
)

// SpecVersion is the CloudEvents version of every event.
const SpecVersion = "1.0"

// Request is an event on the requests queue, as the tenant's story sent it. An
// optional field that the request did not set is zero.
type Request struct {
	SpecVersion     string      `json:"specversion"`
	Type            string      `json:"type"`
	Source          string      `json:"source"`
	ID              string      `json:"id"`
	Time            *time.Time  `json:"time,omitempty"`
	Subject         string      `json:"subject,omitempty"`
	DataContentType string      `json:"datacontenttype,omitempty"`
	DataSchema      string      `json:"dataschema,omitempty"`
	Tenant          string      `json:"tenant"`
	Traceparent     string      `json:"traceparent,omitempty"`
	Tracestate      string      `json:"tracestate,omitempty"`
	Data            RequestData `json:"data"`
}

// RequestData is the content of a request: the fields of a Run Script action.
type RequestData struct {
	Action         string          `json:"action,omitempty"`
	Runtime        string          `json:"runtime,omitempty"`
	Script         string          `json:"script,omitempty"`
	ScriptRef      string          `json:"script_ref,omitempty"` // instead of Script: see Reference
	Caller         string          `json:"caller,omitempty"`     // the team that runs the script of ScriptRef
	Requirements   string          `json:"requirements,omitempty"`
	Input          json.RawMessage `json:"input,omitempty"`
	TimeoutSeconds int             `json:"timeout_seconds,omitempty"`
	Credential     string          `json:"credential,omitempty"`
	Delivery       DeliveryMode    `json:"delivery,omitempty"` // empty means AtLeastOnce
	ExpiresAt      *time.Time      `json:"expires_at,omitempty"`

	// Run is set in a cancellation only: the id of the request to cancel. That
	// request has the same tenant and source.
	Run string `json:"run,omitempty"`
}

// DeliveryMode says what happens to a run whose worker died after the script
// may have begun.
type DeliveryMode string

const (
	// AtLeastOnce executes the script again; the result has attempt > 1.
	AtLeastOnce DeliveryMode = "at-least-once"
	// AtMostOnce does not execute it again; the run ends as platform_error.
	AtMostOnce DeliveryMode = "at-most-once"
)

// Attributable tells whether the request has a valid tenant, source and id. If
// so, its refusal is answered with a result; if not, it goes to the dead-letter
// queue.
func (r Request) Attributable() bool {
	return checkTenant(r.Tenant) == nil && checkSource(r.Source) == nil && checkID("id", r.ID) == nil
}

// Expired tells whether the run must not begin any more: expires_at ≤ now.
func (r Request) Expired(now time.Time) bool {
	return r.Data.ExpiresAt != nil && !now.Before(*r.Data.ExpiresAt)
}

// Key is the identity of a run: a digest of (tenant, source, id), 26 characters
// of lower-case base32. It is also the id of the run's result event, so a
// consumer recognises a result that SQS or a crash repeats.
type Key string

// Run is a valid request with its identities. It is immutable. Request holds
// the fields as they were sent; Script has the defaults filled in. Script is
// zero in a cancellation, and in a request with a script_ref until
// [Policy.Complete].
type Run struct {
	Request
	Key    Key
	Script Script
	// Warning is a sentence for the result, about what works today and will not
	// for ever; empty without one.
	Warning string
}

// Script is the input of a build: all that a function is made from.
type Script struct {
	Tenant         string
	Runtime        Runtime
	Requirements   string // normalised: one requirement a line, sorted
	Source         string
	TimeoutSeconds int
	MemoryMB       int
	Arch           string // x86_64 or arm64, as Lambda names them
	PrivateIndex   string // name of the tenant's own package index; empty for PolicyConfig.Index alone
	// Sealed is set for a script of the registry: its callers may run it and not
	// read it. Whatever executes it shows none of its text, in tracebacks too.
	Sealed bool
	// Runner is set for an env runner: its function holds no script, and takes
	// each one in its payload. See [RunnerOf].
	Runner bool
	// Handler is the version of the handler in the function, which is part of
	// Hash.
	Handler string
	// RuntimeHash identifies the layer of a custom runtime's interpreter; empty
	// for Lambda's own runtimes.
	RuntimeHash EnvHash
	EnvHash     EnvHash
	Hash        ScriptHash
}

// EnvHash identifies an env, which a layer is built from: 26 characters of
// lower-case base32. It is empty where a script needs no layer.
type EnvHash string

// ScriptHash identifies a script, which a function is built from: 26 characters
// of lower-case base32.
type ScriptHash string
