package sqs

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// apiError is an error in the protocol's form.
type apiError struct {
	code    string
	status  int
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// queryNames are the codes of errors for clients of the older query protocol,
// if they differ.
var queryNames = map[string]string{
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":              "QueueAlreadyExists",
	"PurgeQueueInProgress":         "AWS.SimpleQueueService.PurgeQueueInProgress",
	"MessageNotInflight":           "AWS.SimpleQueueService.MessageNotInflight",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	"BatchRequestTooLong":          "AWS.SimpleQueueService.BatchRequestTooLong",
	"InvalidBatchEntryId":          "AWS.SimpleQueueService.InvalidBatchEntryId",
	"UnsupportedOperation":         "AWS.SimpleQueueService.UnsupportedOperation",
}

func (e *apiError) queryName() string {
	if name, ok := queryNames[e.code]; ok {
		return name
	}
	return e.code
}

func (e *apiError) write(w http.ResponseWriter) {
	auth.WriteJSONError(w, e.status, "com.amazonaws.sqs#"+e.code, e.queryName(), e.message)
}

// asAPIError converts any error to an apiError.
func asAPIError(err error) *apiError {
	var e *apiError
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, errQueueGone) {
		return noQueue
	}
	return &apiError{"InternalError", http.StatusInternalServerError, err.Error()}
}

var noQueue = &apiError{"QueueDoesNotExist", 400, "The specified queue does not exist."}

func invalidValue(value, parameter, reason string) *apiError {
	if len(value) > 200 {
		value = value[:200] + "…"
	}
	return &apiError{"InvalidParameterValue", 400, fmt.Sprintf("Value %s for parameter %s is invalid. Reason: %s", value, parameter, reason)}
}

func missing(parameter string) *apiError {
	return &apiError{"MissingParameter", 400, "The request must contain the parameter " + parameter + "."}
}

// failure is the error for an outcome, or nil.
func (o outcome) failure(h string) *apiError {
	switch o {
	case superseded:
		return &apiError{"ReceiptHandleIsInvalid", 404, "The input receipt handle is not the newest one of its message: the message was received again."}
	case gone:
		return &apiError{"ReceiptHandleIsInvalid", 404, "The message of the receipt handle does not exist any more."}
	case notInFlight:
		return &apiError{"MessageNotInflight", 400, "The message referred to isn't in flight: its visibility timeout ran out."}
	case tooLong:
		return invalidValue(h, "VisibilityTimeout", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
	}
	return nil
}

func badHandle(h string) *apiError {
	return &apiError{"ReceiptHandleIsInvalid", 404, fmt.Sprintf("The input receipt handle %q is not a valid receipt handle.", h)}
}
