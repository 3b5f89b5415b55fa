package lambda

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// apiError is an error of Lambda's API: a type in a header, and a body.
type apiError struct {
	status int
	typ    string
	text   string
	reason string // of a TooManyRequestsException
}

func (e *apiError) Error() string { return e.typ + ": " + e.text }

func invalid(format string, args ...any) *apiError {
	return &apiError{status: 400, typ: "InvalidParameterValueException", text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *apiError {
	return &apiError{status: 404, typ: "ResourceNotFoundException", text: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) *apiError {
	return &apiError{status: 409, typ: "ResourceConflictException", text: fmt.Sprintf(format, args...)}
}

func notReady(format string, args ...any) *apiError {
	return &apiError{status: 502, typ: "ResourceNotReadyException", text: fmt.Sprintf(format, args...)}
}

func tooLarge(limit int64, operation string) *apiError {
	return &apiError{status: 413, typ: "RequestTooLargeException", text: fmt.Sprintf("Request must be smaller than %d bytes for the %s operation", limit, operation)}
}

func throttled(reason, text string) *apiError {
	return &apiError{status: 429, typ: "TooManyRequestsException", reason: reason, text: text}
}

func denied(user, action, resource, policy string) *apiError {
	return &apiError{status: 403, typ: "AccessDeniedException", text: fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no %s policy allows the %s action", user, action, resource, policy, action)}
}

func internal(err error) *apiError {
	return &apiError{status: 500, typ: "ServiceException", text: err.Error()}
}

// write answers with the error. Lambda's error models spell the field of the
// message in two ways, so both are sent.
func (e *apiError) write(w http.ResponseWriter) {
	body := map[string]string{"Message": e.text, "message": e.text, "Type": "User"}
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
