package lambda

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// apiError is an error as Lambda answers it: a type in a header, and a body.
type apiError struct {
	status  int
	typ     string
	message string
	reason  string // of a TooManyRequestsException
}

func (e *apiError) Error() string { return e.typ + ": " + e.message }

func invalid(format string, args ...any) *apiError {
	return &apiError{status: 400, typ: "InvalidParameterValueException", message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *apiError {
	return &apiError{status: 404, typ: "ResourceNotFoundException", message: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) *apiError {
	return &apiError{status: 409, typ: "ResourceConflictException", message: fmt.Sprintf(format, args...)}
}

func notReady(format string, args ...any) *apiError {
	return &apiError{status: 502, typ: "ResourceNotReadyException", message: fmt.Sprintf(format, args...)}
}

func tooLarge(limit int64, operation string) *apiError {
	return &apiError{status: 413, typ: "RequestTooLargeException", message: fmt.Sprintf("Request must be smaller than %d bytes for the %s operation", limit, operation)}
}

func throttled(reason, message string) *apiError {
	return &apiError{status: 429, typ: "TooManyRequestsException", reason: reason, message: message}
}

func denied(user, action, resource, policy string) *apiError {
	return &apiError{status: 403, typ: "AccessDeniedException", message: fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no %s policy allows the %s action", user, action, resource, policy, action)}
}

func internal(err error) *apiError {
	return &apiError{status: 500, typ: "ServiceException", message: err.Error()}
}

// write answers with the error. The models of Lambda's errors spell the
// message's name in two ways, so both are sent.
func (e *apiError) write(w http.ResponseWriter) {
	body := map[string]string{"Message": e.message, "message": e.message, "Type": "User"}
	if e.status >= 500 {
		body["Type"] = "Service"
	}
	if e.reason != "" {
		body["Reason"] = e.reason
	}
	w.Header().Set("X-Amzn-Errortype", e.typ)
	writeJSON(w, e.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
