package run

import (
	"encoding/json"
	"time"
)

// The types of event that the requests queue carries, and the one that the
// results queue carries.
const (
	TypeRequested = "scriptfleet.run.requested"
	TypeCancelled = "scriptfleet.run.cancelled"
	TypeSaved     = "scriptfleet.script.saved"
	TypeFinished  = "scriptfleet.run.finished"
)

// SpecVersion is the CloudEvents version of every event.
const SpecVersion = "1.0"

// Request is an event on the requests queue, as the tenant's story sent it.
// The zero value of an optional field means that the request did not set it.
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

// RequestData is what a Run Script action says.
type RequestData struct {
	Action         string          `json:"action,omitempty"`
	Runtime        string          `json:"runtime,omitempty"`
	Script         string          `json:"script,omitempty"`
	Requirements   string          `json:"requirements,omitempty"`
	Input          json.RawMessage `json:"input,omitempty"`
	TimeoutSeconds int             `json:"timeout_seconds,omitempty"`
	Credential     string          `json:"credential,omitempty"`
	Delivery       DeliveryMode    `json:"delivery,omitempty"` // empty means AtLeastOnce
	ExpiresAt      *time.Time      `json:"expires_at,omitempty"`

	// Run is set in a cancellation only: the id of the request to cancel, which
	// the same tenant sent from the same source.
	Run string `json:"run,omitempty"`
}

// DeliveryMode says what happens to a run whose worker died after the script
// may have begun.
type DeliveryMode string

const (
	// AtLeastOnce executes the script again; the result says attempt > 1.
	AtLeastOnce DeliveryMode = "at-least-once"
	// AtMostOnce does not; the run ends as platform_error.
	AtMostOnce DeliveryMode = "at-most-once"
)

// Attributable tells whether a request, or what could be read of one, names its
// tenant, source and id: a refused one is then answered with a result, else it
// goes to the dead-letter queue.
func (r Request) Attributable() bool {
	return checkTenant(r.Tenant) == nil && checkSource(r.Source) == nil && checkID("id", r.ID) == nil
}

// Expired tells whether the request asked not to be begun any more at now.
func (r Request) Expired(now time.Time) bool {
	return r.Data.ExpiresAt != nil && !now.Before(*r.Data.ExpiresAt)
}

// Key is the identity of a run: a digest of (tenant, source, id), 26 characters
// of lower-case base32. It is also the id of the run's result event, so that a
// result that SQS or a crash repeats is recognised as the same.
type Key string

// Run is a request that was admitted: valid, and its identities computed. It is
// immutable. The request stands in it as it was sent; the defaults are filled in
// in Script, which is zero in a cancellation.
type Run struct {
	Request
	Key    Key
	Script Script
}

// Script is what a build makes a function from.
type Script struct {
	Tenant         string
	Runtime        Runtime
	Requirements   string // normalised: one requirement a line, sorted
	Source         string
	TimeoutSeconds int
	MemoryMB       int
	Arch           string // x86_64 or arm64, as Lambda names them
	PrivateIndex   string // name of the tenant's own package index; empty for the one of all
	EnvHash        EnvHash
	Hash           ScriptHash
}

// EnvHash identifies an env: what a layer is built from. 26 characters of
// lower-case base32. It is empty where a script needs no layer.
type EnvHash string

// ScriptHash identifies a script: what a function is built from. 26 characters
// of lower-case base32.
type ScriptHash string
