package run

import (
	"strconv"
	"time"
)

// Names of message attributes. A request travels through the partitions as it
// came; what the dispatcher knows beside it goes along in attributes.
const (
	AttributeRequestedAt = "requested_at" // ms since 1970: when the request reached its queue
	AttributeTenant      = "tenant"
	AttributeStatus      = "status"
	AttributeReason      = "reason"     // of a dead letter: what was wrong, in a sentence
	AttributeErrorType   = "error_type" // of a dead letter: the name to branch on
)

// RequestedAt reads AttributeRequestedAt; where it is missing or broken, as in
// a message that an operator sent to a partition by hand, it is otherwise.
func RequestedAt(attributes map[string]string, otherwise time.Time) time.Time {
	ms, err := strconv.ParseInt(attributes[AttributeRequestedAt], 10, 64)
	if err != nil || ms <= 0 {
		return otherwise
	}
	return time.UnixMilli(ms)
}

// Carry is the attributes of a request that reached its queue at t.
func Carry(t time.Time) map[string]string {
	return map[string]string{AttributeRequestedAt: strconv.FormatInt(t.UnixMilli(), 10)}
}

// Attributes are those of the result's message.
func (r Result) Attributes() map[string]string {
	return map[string]string{AttributeTenant: r.Tenant, AttributeStatus: string(r.Data.Status)}
}
