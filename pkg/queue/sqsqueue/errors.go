package sqsqueue

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// EntryError is what SQS says of one entry of a batch.
type EntryError struct {
	Code        string
	Message     string
	SenderFault bool // what was sent is at fault: the same again fails again
}

func (e *EntryError) Error() string { return e.Code + ": " + e.Message }

// entryError reads why an entry failed. Codes come with or without the prefix of
// the older protocol.
func entryError(f *types.BatchResultErrorEntry) *EntryError {
	return &EntryError{
		Code:        strings.TrimPrefix(text(f.Code), "AWS.SimpleQueueService."),
		Message:     text(f.Message),
		SenderFault: f.SenderFault,
	}
}

// sendEntryError classifies why a message was not taken. What SQS refuses for the
// message's own sake, it refuses each time.
func sendEntryError(e *EntryError) error {
	switch e.Code {
	case "InvalidMessageContents", "InvalidAttributeValue":
		return fmt.Errorf("%w: %w", queue.ErrInvalid, e)
	case "InvalidParameterValue":
		if tooLong(e.Message) { // its queue takes less than when it was opened
			return fmt.Errorf("%w: %w", queue.ErrTooLarge, e)
		}
		return fmt.Errorf("%w: %w", queue.ErrInvalid, e)
	}
	return e
}

// sendError classifies why a whole call was not taken.
func sendError(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	code := strings.TrimPrefix(api.ErrorCode(), "AWS.SimpleQueueService.")
	if code == "BatchRequestTooLong" || code == "InvalidParameterValue" && tooLong(api.ErrorMessage()) {
		return fmt.Errorf("%w: %w", queue.ErrTooLarge, err)
	}
	return err
}

// tooLong tells the reason in "Message must be shorter than 262144 bytes".
func tooLong(message string) bool { return strings.Contains(message, "must be shorter than") }

// settleEntryError classifies why a delivery was not deleted or extended.
func settleEntryError(e *EntryError) error {
	if isGone(e) {
		return fmt.Errorf("%w: %w", queue.ErrGone, e)
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
