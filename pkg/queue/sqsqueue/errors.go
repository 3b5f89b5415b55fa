package sqsqueue

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// EntryError is what SQS says of one entry of a batch.
type EntryError struct {
	Code        string
	Message     string
	SenderFault bool // what was sent is at fault: the same again fails again
}

func (e *EntryError) Error() string { return e.Code + ": " + e.Message }

// entryError classifies why an entry failed. Codes come with or without the
// prefix of the older protocol.
func entryError(f *types.BatchResultErrorEntry) error {
	e := &EntryError{
		Code:        strings.TrimPrefix(text(f.Code), "AWS.SimpleQueueService."),
		Message:     text(f.Message),
		SenderFault: f.SenderFault,
	}
	switch {
	case isGone(e):
		return fmt.Errorf("%w: %w", queue.ErrGone, e)
	case e.Code == "InvalidMessageContents":
		return fmt.Errorf("%w: %w", queue.ErrInvalid, e)
	}
	return e
}

// isGone says whether a delivery is no longer ours. An expired handle, and one
// of a message that was deleted, are InvalidParameterValue; so is a visibility
// beyond twelve hours, which says nothing of the delivery.
func isGone(e *EntryError) bool {
	switch e.Code {
	case "ReceiptHandleIsInvalid", "MessageNotInflight":
		return true
	case "InvalidParameterValue":
		return strings.Contains(e.Message, "expired") || strings.Contains(e.Message, "does not exist or is not available")
	}
	return false
}
