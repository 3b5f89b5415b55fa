package run

import (
	"strconv"
	"time"
)

// Names of message attributes. The dispatcher sends a request's body to a
// partition unchanged, and adds what else it knows as attributes.
const (
	AttributeRequestedAt = "requested_at" // ms since 1970: when the request reached its queue
	AttributeLoad        = "load"         // Load of the run's tenant when the run was sent
	AttributeTenant      = "tenant"
	AttributeStatus      = "status"
	AttributeReason      = "reason"     // of a dead letter: Error.Message
	AttributeErrorType   = "error_type" // of a dead letter: Error.Type
)

// RequestedAt reads AttributeRequestedAt. It returns otherwise where the
// attribute is missing or invalid, as in a message that an operator sent to a
// partition by hand.
func RequestedAt(attributes map[string]string, otherwise time.Time) time.Time {
	ms, err := strconv.ParseInt(attributes[AttributeRequestedAt], 10, 64)
	if err != nil || ms <= 0 {
		return otherwise
	}
	return time.UnixMilli(ms)
}

// Carry returns the attributes of a request that reached its queue at t.
func Carry(t time.Time, l Load) map[string]string {
	return map[string]string{AttributeRequestedAt: strconv.FormatInt(t.UnixMilli(), 10), AttributeLoad: string(l)}
}

// Load tells whether a run's tenant was within its share of the fleet when a
// dispatcher sent the run: see package dispatcher, backlog.go. The objectives
// bound how long a run of a quiet tenant may wait. A run of a busy tenant may
// wait for the tenant's other runs.
type Load string

// The loads.
const (
	Quiet Load = "quiet"
	Busy  Load = "busy"
)

// LoadOf reads AttributeLoad. It returns Busy where the attribute is missing or
// unknown: no objective holds for a run that no dispatcher has judged.
func LoadOf(attributes map[string]string) Load {
	if attributes[AttributeLoad] == string(Quiet) {
		return Quiet
	}
	return Busy
}

// Attributes returns the attributes of the result's message.
func (r Result) Attributes() map[string]string {
	return map[string]string{AttributeTenant: r.Tenant, AttributeStatus: string(r.Data.Status)}
}
