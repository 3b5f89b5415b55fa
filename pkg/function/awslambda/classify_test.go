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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// The error codes of Lambda on the wire: each has a class and a reason.
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
		{"Invoke", 409, "CodeArtifactUserPendingException", `{"Message":"INFO: Lambda is initializing your function. It will be ready to invoke shortly."}`, function.NotReady, "CodeArtifactUserPendingException"},
		{"Invoke", 500, "CodeArtifactUserPendingException", `{"Message":"x"}`, function.NotReady, "CodeArtifactUserPendingException"},
		{"Invoke", 502, "CodeArtifactUserPendingException", `{"Message":"x"}`, function.NotReady, "CodeArtifactUserPendingException"},
		{"Invoke", 502, "ENINotReadyException", `{"message":"x"}`, function.NotReady, "ENINotReadyException"},
		{"Invoke", 404, "ResourceNotFoundException", `{"Type":"User","Message":"Function not found: f"}`, function.NotFound, "ResourceNotFoundException"},
		{"Create", 400, "InvalidParameterValueException", `{"Type":"User","message":"Layer version arn:aws:lambda:us-east-1:1:layer:l:9 does not exist."}`, function.NotFound, "InvalidParameterValueException"}, // swept
		{"Create", 400, "InvalidParameterValueException", `{"Type":"User","message":"Layer version ARN is not of this region."}`, function.Refused, "InvalidParameterValueException"},
		{"Create", 400, "InvalidParameterValueException", `{"Type":"User","message":"The role defined for the function cannot be assumed by Lambda."}`, function.Operator, "InvalidParameterValueException"},
		{"Create", 400, "InvalidParameterValueException", `{"Type":"User","message":"Unzipped size must be smaller than 262144000 bytes"}`, function.Refused, "InvalidParameterValueException"},
		{"Invoke", 413, "RequestTooLargeException", `{"message":"x"}`, function.Refused, "RequestTooLargeException"},
		{"Invoke", 400, "InvalidRequestContentException", `{"message":"x"}`, function.Refused, "InvalidRequestContentException"},
		{"Invoke", 502, "InvalidRuntimeException", `{"message":"x"}`, function.Refused, "InvalidRuntimeException"},
		{"Invoke", 502, "InvalidZipFileException", `{"message":"x"}`, function.Refused, "InvalidZipFileException"},
		{"Invoke", 418, "SomethingNewException", `{"message":"x"}`, function.Refused, "SomethingNewException"}, // an unknown 4xx: the platform's fault
		{"Invoke", 403, "AccessDeniedException", `{"Message":"User is not authorized to perform: lambda:InvokeFunction"}`, function.Denied, "AccessDeniedException"},
		{"Invoke", 403, "UnrecognizedClientException", `{"message":"The security token included in the request is invalid."}`, function.BadSignature, "UnrecognizedClientException"},
		{"Invoke", 403, "ExpiredTokenException", `{"message":"x"}`, function.BadSignature, "ExpiredTokenException"},
		{"Create", 403, "ExpiredTokenException", `{"message":"x"}`, function.BadSignature, "ExpiredTokenException"},
		{"Invoke", 403, "InvalidSignatureException", `{"message":"Signature expired: 20261123T090000Z is now earlier than 20261123T091000Z (20261123T091500Z - 5 min.)"}`, function.BadSignature, "InvalidSignatureException"},
		{"Invoke", 403, "InvalidSignatureException", `{"message":"Signature not yet current: 20261123T092000Z is still later than 20261123T091500Z (20261123T091000Z + 5 min.)"}`, function.BadSignature, "InvalidSignatureException"},
		{"Invoke", 403, "InvalidSignatureException", `{"message":"The request signature we calculated does not match the signature you provided."}`, function.Denied, "InvalidSignatureException"},
		{"Create", 400, "CodeStorageExceededException", `{"message":"x"}`, function.Operator, "CodeStorageExceededException"},
		{"Invoke", 502, "KMSAccessDeniedException", `{"message":"x"}`, function.Operator, "KMSAccessDeniedException"},
		{"Invoke", 502, "ENILimitReachedException", `{"message":"x"}`, function.Operator, "ENILimitReachedException"},
		{"Invoke", 502, "SubnetIPAddressLimitReachedException", `{"message":"x"}`, function.Operator, "SubnetIPAddressLimitReachedException"},
		{"Invoke", 403, "EFSMountFailureException", `{"message":"x"}`, function.Operator, "EFSMountFailureException"},
		{"Invoke", 500, "ServiceException", `{"message":"x"}`, function.Ambiguous, "ServiceException"},
		{"Invoke", 503, "", `<html>busy</html>`, function.Ambiguous, ""}, // a load balancer's answer: the function behind it may have begun
		{"Invoke", 504, "", ``, function.Ambiguous, ""},
		{"Invoke", 408, "", ``, function.Ambiguous, ""}, // a proxy's, which has waited for the answer
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

// An error that the SDK's model has learnt of, or that it takes for a throttle,
// is given its class before the module's version goes up.
func TestEveryErrorOfTheSDKHasAClass(t *testing.T) {
	known := 0
	for id, entry := range lambda.TypeRegistry.Entries {
		if e, ok := entry.New().(smithy.APIError); ok {
			known++
			if classOf("Invoke", e.ErrorCode(), "") == "" {
				t.Errorf("%s has no class: add a row to answers", id)
			}
		}
	}
	if known < 50 {
		t.Errorf("the SDK knows %d errors only: it lists them elsewhere by now", known)
	}
	for code := range retry.DefaultThrottleErrorCodes {
		if class := classOf("Invoke", code, ""); class != function.Throttled {
			t.Errorf("the SDK takes %s for a throttle, and its class is %q", code, class)
		}
	}
}

// A row that stands behind one which fits whatever it fits never decides.
func TestEveryAnswerCanDecide(t *testing.T) {
	for n, a := range answers {
		for _, before := range answers[:n] {
			if before.code == a.code && (before.op == "" || before.op == a.op) && says(a.says, before.says) {
				t.Errorf("%+v stands behind %+v", a, before)
			}
		}
	}
}

// renewed are sessions of which the first that a tenant gets is not honoured.
type renewed struct{ dropped []string }

func (r *renewed) Session(context.Context, string) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: fmt.Sprint("AK", len(r.dropped)), SecretAccessKey: "secret", SessionToken: "token"}, nil
}

func (r *renewed) Drop(tenant, accessKeyID string) {
	r.dropped = append(r.dropped, tenant+" "+accessKeyID)
}

func (r *renewed) Invalidate() { r.dropped = append(r.dropped, "the fleet's") }

func TestSessionThatLambdaDoesNotTakeIsMadeAgain(t *testing.T) {
	sessions, keys := &renewed{}, &renewed{}
	f := wire(t, Deps{Sessions: sessions, Keys: keys}, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "Credential=AK0/") {
			refuse(403, "ExpiredTokenException", `{"message":"The security token included in the request is expired"}`)(w, r)
		}
	})
	invoke(t, t.Context(), f, function.BadSignature)
	if _, err := f.Invoke(t.Context(), "acme", "f", nil); err != nil {
		t.Errorf("with the next session: %v", err)
	}
	if fmt.Sprint(sessions.dropped, keys.dropped) != "[acme AK0] []" {
		t.Errorf("dropped: %v, and the fleet's own keys: %v", sessions.dropped, keys.dropped)
	}
}

// The SDK notes by how much the clock is wrong, and signs the next call by it.
func TestCallAfterAClockWasFoundWrongIsSignedByLambdasClock(t *testing.T) {
	const ahead = time.Hour
	f := wire(t, Deps{}, func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().Add(ahead).UTC()
		w.Header().Set("Date", now.Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || now.Sub(signed) > 5*time.Minute {
			refuse(403, "InvalidSignatureException", `{"message":"Signature expired: it is now earlier"}`)(w, r)
		}
	})
	invoke(t, t.Context(), f, function.BadSignature)
	if _, err := f.Invoke(t.Context(), "acme", "f", nil); err != nil {
		t.Errorf("after it was told the time: %v", err)
	}
}

func TestKeysThatLambdaDoesNotTakeAreFetchedAgain(t *testing.T) {
	for what, call := range map[string]func(*Functions) error{
		"Invoke": func(f *Functions) error { _, err := f.Invoke(t.Context(), "acme", "f", nil); return err },
		"Create": func(f *Functions) error { return f.Create(t.Context(), function.Spec{Name: "f"}) },
	} {
		keys := &renewed{}
		f := wire(t, Deps{Keys: keys}, refuse(403, "ExpiredTokenException", `{"message":"x"}`))
		if err := call(f); function.ClassOf(err) != function.BadSignature || len(keys.dropped) != 1 {
			t.Errorf("%s: %v, the keys were fetched again %d times", what, err, len(keys.dropped))
		}
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

// The server has closed the idle connection and refuses a new one: nothing was
// sent.
func TestAnIdleConnectionThatDiedDoesNotCountAsSent(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	closed := make(chan struct{})
	f := over(&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &watched{c, sync.OnceFunc(func() { close(closed) })}, err
	}}}, s.URL, Deps{})
	if _, err := f.Invoke(t.Context(), "acme", "f", nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	<-closed // until the client knows, it may send a request
	invoke(t, t.Context(), f, function.Unsent)
}

// watched tells when the client closes a connection.
type watched struct {
	net.Conn
	closed func()
}

func (w *watched) Close() error {
	w.closed()
	return w.Conn.Close()
}
