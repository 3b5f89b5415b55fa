package run

import (
	"strconv"
	"time"
)

// Names of message attributes. The dispatcher sends a request's body to a
// partition unchanged, and adds what else it knows as attributes.
const (
	AttributeRequestedAt = "requested_at" // ms since 1970: when the request reached its queue
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
func Carry(t time.Time) map[string]string {
	return map[string]string{AttributeRequestedAt: strconv.FormatInt(t.UnixMilli(), 10)}
}

// Attributes returns the attributes of the result's message.
func (r Result) Attributes() map[string]string {
	return map[string]string{AttributeTenant: r.Tenant, AttributeStatus: string(r.Data.Status)}
}
