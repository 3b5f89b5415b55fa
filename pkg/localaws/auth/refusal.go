package auth

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// refusal is the reason why a request is refused. AWS uses the same message
// everywhere, but each kind of service has its own code for it.
type refusal struct {
	query   string // code of SQS and STS
	rest    string // code of Lambda
	s3      string
	message string
}

var (
	missingToken = &refusal{"MissingAuthenticationToken", "MissingAuthenticationTokenException", "AccessDenied",
		"Request is missing Authentication Token"}
	incomplete = &refusal{"IncompleteSignature", "IncompleteSignatureException", "AuthorizationHeaderMalformed",
		"The request signature does not conform to AWS standards"}
	unknownKey = &refusal{"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId",
		"The security token included in the request is invalid."}
	expiredToken = &refusal{"ExpiredToken", "ExpiredTokenException", "ExpiredToken",
		"The security token included in the request is expired"}
	mismatch = &refusal{"SignatureDoesNotMatch", "InvalidSignatureException", "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."}
	skewed = &refusal{"SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed",
		"Signature expired: the request was signed more than 15 minutes from the time here"}
	linkExpired = &refusal{"RequestExpired", "RequestExpired", "AccessDenied", "Request has expired"}
	otherBody   = &refusal{"SignatureDoesNotMatch", "InvalidSignatureException", "XAmzContentSHA256Mismatch",
		"The provided 'x-amz-content-sha256' header does not match what was computed."}
	bodyTooLarge = &refusal{"RequestEntityTooLarge", "RequestEntityTooLargeException", "EntityTooLarge",
		"The request is larger than the embedded stack takes (96 MiB)"}
	busy = &refusal{"ServiceUnavailable", "ServiceUnavailableException", "SlowDown",
		"This key has as many connections or request bodies under way as the embedded stack takes of one key. Close what is not needed, and try again."}
)

// write sends the refusal in the error format of the service.
func (f *refusal) write(w http.ResponseWriter, service string) {
	status := http.StatusForbidden
	switch f {
	case bodyTooLarge:
		status = http.StatusRequestEntityTooLarge
	case busy:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Connection", "close")
	}
	f.writeStatus(w, status, service)
}

// WriteInternal answers a call with an internal error of the stack.
func WriteInternal(w http.ResponseWriter, service, message string) {
	f := &refusal{"InternalFailure", "ServiceException", "InternalError", message}
	f.writeStatus(w, http.StatusInternalServerError, service)
}

// WriteDenied answers a call that the signer may not make.
func WriteDenied(w http.ResponseWriter, service, message string) {
	f := &refusal{"AccessDenied", "AccessDeniedException", "AccessDenied", message}
	f.writeStatus(w, http.StatusForbidden, service)
}

func (f *refusal) writeStatus(w http.ResponseWriter, status int, service string) {
	side := "User"
	if status >= 500 {
		side = "Service"
	}
	switch service {
	case "sqs":
		WriteJSONError(w, status, "com.amazon.coral.service#"+f.query, f.query, f.message)
	case "lambda":
		w.Header().Set("X-Amzn-Errortype", f.rest)
		writeJSON(w, status, "application/json", map[string]string{"message": f.message, "Type": side})
	case "s3":
		writeXML(w, status, s3Error{Code: f.s3, Message: f.message})
	default:
		WriteQueryError(w, status, f.query, f.message)
	}
}

// WriteJSONError answers with an error of the AWS JSON protocol. queryCode is
// its code for clients of the older query protocol.
func WriteJSONError(w http.ResponseWriter, status int, typ, queryCode, message string) {
	fault := "Sender"
	if status >= 500 {
		fault = "Receiver"
	}
	w.Header().Set("X-Amzn-Query-Error", queryCode+";"+fault)
	writeJSON(w, status, "application/x-amz-json-1.0", map[string]string{"__type": typ, "message": message})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(text) // on an error the client has gone
}

type s3Error struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
}

type queryError struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Error     queryErrorBody
	RequestID string `xml:"RequestId"`
}

type queryErrorBody struct {
	Type, Code, Message string
}

// WriteQueryError answers with an error of the AWS query protocol, as STS does.
func WriteQueryError(w http.ResponseWriter, status int, code, message string) {
	fault := "Sender"
	if status >= 500 {
		fault = "Receiver"
	}
	writeXML(w, status, queryError{Error: queryErrorBody{Type: fault, Code: code, Message: message}, RequestID: randomName(16)})
}

// WriteS3Denied answers with S3's error for a call that a policy refuses.
func WriteS3Denied(w http.ResponseWriter, message string) {
	WriteS3Error(w, http.StatusForbidden, "AccessDenied", message)
}

// WriteS3Error answers with an error of S3.
func WriteS3Error(w http.ResponseWriter, status int, code, message string) {
	writeXML(w, status, s3Error{Code: code, Message: message})
}

func writeXML(w http.ResponseWriter, status int, body any) {
	text, err := xml.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), text...))
}

// Denied is AWS's message for an action that the identity may not perform.
func Denied(id Identity, action, resource string) string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no session policy allows the %s action",
		id.ARN, action, resource, action)
}

// ServiceOf returns the service of a request: by the scope of its signature, or
// else by its X-Amz-Target, or else by its path. Everything else is for S3.
func ServiceOf(r *http.Request) string {
	if scope := scopeOf(r); len(scope) == 5 {
		return scope[3]
	}
	path := r.URL.Path
	switch {
	case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."):
		return "sqs"
	case len(path) > 11 && path[0] == '/' && path[1:5] >= "2014" && path[1:5] <= "2031" && path[5] == '-' && path[8] == '-':
		return "lambda"
	case path == "/" && r.Method == http.MethodPost:
		return "sts"
	}
	return "s3"
}
