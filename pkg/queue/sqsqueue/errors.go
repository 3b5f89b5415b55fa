package sqsqueue

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// EntryError is the error of SQS about one entry of a batch.
type EntryError struct {
	Code        string
	Message     string
	SenderFault bool // the entry is at fault: sending it again fails again
}

func (e *EntryError) Error() string { return e.Code + ": " + e.Message }

// entryError reads the error of an entry. It cuts off the prefix that SQS's
// older protocol puts before the code.
func entryError(f *types.BatchResultErrorEntry) *EntryError {
	return &EntryError{
		Code:        strings.TrimPrefix(text(f.Code), "AWS.SimpleQueueService."),
		Message:     text(f.Message),
		SenderFault: f.SenderFault,
	}
}

// sendEntryError classifies the error of a message. If the message itself is at
// fault, it is ErrInvalid or ErrTooLarge.
func sendEntryError(e *EntryError) error {
	switch e.Code {
	case "InvalidMessageContents", "InvalidAttributeValue":
		return fmt.Errorf("%w: %w", queue.ErrInvalid, e)
	case "InvalidParameterValue":
		if tooLong(e.Message) { // the queue's limit was lowered after Open
			return fmt.Errorf("%w: %w", queue.ErrTooLarge, e)
		}
		return fmt.Errorf("%w: %w", queue.ErrInvalid, e)
	}
	return e
}

// sendError classifies the error of a whole call.
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

// tooLong recognises messages such as "Message must be shorter than 262144
// bytes".
func tooLong(message string) bool { return strings.Contains(message, "must be shorter than") }

// settleEntryError classifies the error of a delivery that was not deleted or
// extended.
func settleEntryError(e *EntryError) error {
	if isGone(e) {
		return fmt.Errorf("%w: %w", queue.ErrGone, e)
	}
	return e
}

// isGone tells whether the delivery is no longer ours. SQS answers
// InvalidParameterValue for an expired handle and for the handle of a deleted
// message, but also for a visibility beyond twelve hours, so the message
// decides.
func isGone(e *EntryError) bool {
	switch e.Code {
	case "ReceiptHandleIsInvalid", "MessageNotInflight":
		return true
	case "InvalidParameterValue":
		return strings.Contains(e.Message, "expired") || strings.Contains(e.Message, "does not exist or is not available")
	}
	return false
}
