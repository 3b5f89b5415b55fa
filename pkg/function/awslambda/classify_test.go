package awslambda

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// Lambda's vocabulary on the wire: a class for each, with the reason.
func TestErrorsHaveTheClassThatTheirCodeMeans(t *testing.T) {
	for _, c := range []struct {
		op     string
		status int
		code   string
		body   string
		want   function.Class
		reason string
	}{
		{"Invoke", 429, "TooManyRequestsException", `{"Reason":"ConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}`, function.Throttled, "TooManyRequestsException/ConcurrentInvocationLimitExceeded"},
		{"Invoke", 429, "TooManyRequestsException", `{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}`, function.Throttled, "TooManyRequestsException/ReservedFunctionConcurrentInvocationLimitExceeded"},
		{"Invoke", 429, "", `too many`, function.Throttled, ""},                                                          // a proxy's
		{"Invoke", 400, "ThrottlingException", `{"message":"Rate exceeded"}`, function.Throttled, "ThrottlingException"}, // the control plane's
		{"Invoke", 502, "EC2ThrottledException", `{"message":"x"}`, function.Throttled, "EC2ThrottledException"},         // no environment, nothing executed
		{"Invoke", 409, "ResourceConflictException", `{"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Pending"}`, function.NotReady, "ResourceConflictException"},
		{"Invoke", 409, "ResourceConflictException", `{"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Failed"}`, function.BadState, "ResourceConflictException"},
		{"Create", 409, "ResourceConflictException", `{"Type":"User","message":"Function already exist: f"}`, function.Conflict, "ResourceConflictException"}, // it is there
		{"Invoke", 502, "ResourceNotReadyException", `{"message":"waking"}`, function.NotReady, "ResourceNotReadyException"},                                  // Inactive; nothing executed
		{"Invoke", 502, "ENINotReadyException", `{"message":"x"}`, function.NotReady, "ENINotReadyException"},
		{"Invoke", 404, "ResourceNotFoundException", `{"Type":"User","Message":"Function not found: f"}`, function.NotFound, "ResourceNotFoundException"},
		{"Create", 400, "InvalidParameterValueException", `{"Type":"User","message":"Layer version arn:aws:lambda:us-east-1:1:layer:l:9 does not exist."}`, function.NotFound, "InvalidParameterValueException"}, // swept
		{"Create", 400, "InvalidParameterValueException", `{"Type":"User","message":"The role defined for the function cannot be assumed by Lambda."}`, function.Operator, "InvalidParameterValueException"},
		{"Create", 400, "InvalidParameterValueException", `{"Type":"User","message":"Unzipped size must be smaller than 262144000 bytes"}`, function.Refused, "InvalidParameterValueException"},
		{"Invoke", 413, "RequestTooLargeException", `{"message":"x"}`, function.Refused, "RequestTooLargeException"},
		{"Invoke", 400, "InvalidRequestContentException", `{"message":"x"}`, function.Refused, "InvalidRequestContentException"},
		{"Invoke", 502, "InvalidRuntimeException", `{"message":"x"}`, function.Refused, "InvalidRuntimeException"},
		{"Invoke", 502, "InvalidZipFileException", `{"message":"x"}`, function.Refused, "InvalidZipFileException"},
		{"Invoke", 418, "SomethingNewException", `{"message":"x"}`, function.Refused, "SomethingNewException"}, // 4xx: ours to mend
		{"Invoke", 403, "AccessDeniedException", `{"Message":"User is not authorized to perform: lambda:InvokeFunction"}`, function.Denied, "AccessDeniedException"},
		{"Invoke", 403, "UnrecognizedClientException", `{"message":"The security token included in the request is invalid."}`, function.Denied, "UnrecognizedClientException"},
		{"Invoke", 403, "ExpiredTokenException", `{"message":"x"}`, function.Denied, "ExpiredTokenException"},
		{"Create", 400, "CodeStorageExceededException", `{"message":"x"}`, function.Operator, "CodeStorageExceededException"},
		{"Invoke", 502, "KMSAccessDeniedException", `{"message":"x"}`, function.Operator, "KMSAccessDeniedException"},
		{"Invoke", 502, "ENILimitReachedException", `{"message":"x"}`, function.Operator, "ENILimitReachedException"},
		{"Invoke", 502, "SubnetIPAddressLimitReachedException", `{"message":"x"}`, function.Operator, "SubnetIPAddressLimitReachedException"},
		{"Invoke", 403, "EFSMountFailureException", `{"message":"x"}`, function.Operator, "EFSMountFailureException"},
		{"Invoke", 500, "ServiceException", `{"message":"x"}`, function.Ambiguous, "ServiceException"},
		{"Invoke", 503, "", `<html>busy</html>`, function.Ambiguous, ""}, // a balancer's: behind it, it may have begun
		{"Invoke", 504, "", ``, function.Ambiguous, ""},
	} {
		t.Run(fmt.Sprintf("%s/%d/%s", c.op, c.status, c.code), func(t *testing.T) {
			f := wire(t, Deps{}, refuse(c.status, c.code, c.body))
			err := f.Create(t.Context(), function.Spec{Name: "f"})
			if c.op == "Invoke" {
				_, err = f.Invoke(t.Context(), "acme", "f", []byte("{}"))
			}
			var e *function.Error
			if !errors.As(err, &e) || e.Class != c.want || c.reason != "" && e.Reason != c.reason {
				t.Errorf("%+v, want %s %s", err, c.want, c.reason)
			}
		})
	}
}

func invoke(t *testing.T, ctx context.Context, f *Functions, want function.Class) error {
	t.Helper()
	_, err := f.Invoke(ctx, "acme", "f", []byte("{}"))
	if function.ClassOf(err) != want {
		t.Errorf("%v, want class %s", err, want)
	}
	return err
}

func TestWhatNeverLeftWasNotExecuted(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })

	for what, endpoint := range map[string]string{
		"refused":          "http://" + closed.Addr().String(),
		"unknown host":     "http://lambda.invalid",
		"no TLS":           "https://" + plain.Listener.Addr().String(),
		"no TLS handshake": "https://" + silent.Addr().String(),
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			invoke(t, ctx, at(endpoint, Deps{}), function.Unsent)
		})
	}
	t.Run("foreign certificate", func(t *testing.T) {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.TLS = &tls.Config{}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		invoke(t, t.Context(), at(s.URL, Deps{}), function.Unsent)
	})
}

// broken serves connections that end in their own way once a request was read.
func broken(t *testing.T, end func(net.Conn)) *Functions {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.Copy(io.Discard, r.Body)
					end(c)
				}
			}()
		}
	}()
	return at("http://"+l.Addr().String(), Deps{})
}

func TestWhatBrokeAfterItLeftMayHaveExecuted(t *testing.T) {
	for what, end := range map[string]func(net.Conn){
		"closed": func(c net.Conn) { c.Close() },
		"reset":  func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
		"half an answer": func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"output\":")
			c.Close()
		},
		"no HTTP": func(c net.Conn) { io.WriteString(c, "what?\r\n\r\n"); c.Close() },
	} {
		t.Run(what, func(t *testing.T) { invoke(t, t.Context(), broken(t, end), function.Ambiguous) })
	}
}

func TestADeadlineThatPassesWhileTheFunctionWorksIsAmbiguous(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the delivery was lost")
	f := broken(t, func(net.Conn) { cancel(cause) })
	err := invoke(t, ctx, f, function.Ambiguous)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not say that its context ended", err)
	}
}

// An idle connection that the other side has closed is noticed, and dialling
// anew is refused: nothing was sent.
func TestAnIdleConnectionThatDiedDoesNotCountAsSent(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	f := at(s.URL, Deps{})
	if _, err := f.Invoke(t.Context(), "acme", "f", nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	invoke(t, t.Context(), f, function.Unsent)
}
