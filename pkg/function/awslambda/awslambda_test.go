package awslambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// at returns Functions that call the endpoint.
func at(endpoint string, deps Deps) *Functions { return over(nil, endpoint, deps) }

// over is at with an HTTP client of the test; nil is that of production.
func over(client aws.HTTPClient, endpoint string, deps Deps) *Functions {
	deps.Lambda = NewClient(aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("AKFLEET", "secret", ""),
		HTTPClient:   client,
	}, 64)
	return New(Config{NamePrefix: "sf-"}, deps)
}

// wire is a Lambda whose answers the test writes.
func wire(t *testing.T, deps Deps, answer http.HandlerFunc) *Functions {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return at(s.URL, deps)
}

func refuse(status int, code, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestInvokeReadsTheWholeAnswer(t *testing.T) {
	tail := "START\nREPORT RequestId: r\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\t\n"
	var got *http.Request
	var sent []byte
	f := wire(t, Deps{}, func(w http.ResponseWriter, r *http.Request) {
		got = r
		sent, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Amzn-Requestid", "request-1")
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte(tail)))
		io.WriteString(w, `{"errorType":"x"}`)
	})
	inv, err := f.Invoke(t.Context(), "acme", "sf-acme-1", []byte(`{"input":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := function.Invocation{Payload: []byte(`{"errorType":"x"}`), FunctionError: "Unhandled", LogTail: tail, RequestID: "request-1",
		Report: function.Report{Duration: 1500 * time.Microsecond, Billed: 2 * time.Millisecond, MaxMemoryMB: 30}}
	if fmt.Sprintf("%+v", inv) != fmt.Sprintf("%+v", want) {
		t.Errorf("read %+v, want %+v", inv, want)
	}
	if got.Header.Get("X-Amz-Log-Type") != "Tail" || got.URL.Path != "/2015-03-31/functions/sf-acme-1/invocations" || string(sent) != `{"input":{}}` {
		t.Errorf("sent %s %v %s", got.URL, got.Header, sent)
	}
}

// By default the SDK would send an invocation three times.
func TestEveryCallIsTriedOnce(t *testing.T) {
	var calls atomic.Int64
	f := wire(t, Deps{}, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		refuse(500, "ServiceException", `{"message":"try again"}`)(w, r)
	})
	for what, call := range map[string]func() error{
		"Invoke":  func() error { _, err := f.Invoke(t.Context(), "acme", "f", nil); return err },
		"Create":  func() error { return f.Create(t.Context(), function.Spec{Name: "f"}) },
		"Publish": func() error { _, err := f.PublishLayer(t.Context(), function.LayerSpec{Name: "l"}); return err },
	} {
		calls.Store(0)
		if err := call(); function.ClassOf(err) != function.Ambiguous || calls.Load() != 1 {
			t.Errorf("%s: %d calls, %v", what, calls.Load(), err)
		}
	}
}

func TestFunctionsAndLayersAreMadeForTheProcessorThatIsAskedFor(t *testing.T) {
	for arch, want := range map[string]string{"arm64": "[arm64]", "x86_64": "[x86_64]", "": "[]"} {
		var sent struct{ Architectures, CompatibleArchitectures []string }
		f := wire(t, Deps{}, func(w http.ResponseWriter, r *http.Request) {
			json.NewDecoder(r.Body).Decode(&sent)
			w.WriteHeader(201)
			io.WriteString(w, `{}`)
		})
		if err := f.Create(t.Context(), function.Spec{Name: "f", Arch: arch}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.PublishLayer(t.Context(), function.LayerSpec{Name: "l", Arch: arch}); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(sent.Architectures); got != want || fmt.Sprint(sent.CompatibleArchitectures) != want {
			t.Errorf("for %q: %s and %s", arch, got, sent.CompatibleArchitectures)
		}
	}
}

func TestFunctionsAreTagged(t *testing.T) {
	var sent struct{ Tags map[string]string }
	f := wire(t, Deps{}, func(w http.ResponseWriter, r *http.Request) {
		json.NewDecoder(r.Body).Decode(&sent)
		w.WriteHeader(201)
		io.WriteString(w, `{}`)
	})
	if err := f.Create(t.Context(), function.Spec{Name: "f", Tags: map[string]string{function.TagTenant: "acme"}}); err != nil {
		t.Fatal(err)
	}
	if sent.Tags["scriptfleet:tenant"] != "acme" || len(sent.Tags) != 1 {
		t.Errorf("the tags are %v", sent.Tags)
	}
}

type sessions struct{ err error }

func (s sessions) Session(_ context.Context, tenant string) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AK-" + tenant, SecretAccessKey: "secret", SessionToken: "token-" + tenant}, s.err
}

func (s sessions) Drop(string, string) {}

func TestInvocationsAreSignedWithTheTenantsSession(t *testing.T) {
	f := wire(t, Deps{Sessions: sessions{}}, func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(r.Header.Get("Authorization") + r.Header.Get("X-Amz-Security-Token"))
	})
	for _, tenant := range []string{"acme", "globex", "acme"} {
		inv, err := f.Invoke(t.Context(), tenant, "f", nil)
		if err != nil {
			t.Fatal(err)
		}
		if signed := string(inv.Payload); !strings.Contains(signed, "Credential=AK-"+tenant+"/") || !strings.Contains(signed, "token-"+tenant) {
			t.Errorf("%s's invocation is signed by %s", tenant, signed)
		}
	}
}

func TestInvocationWithoutASessionIsNotSent(t *testing.T) {
	for _, c := range []struct {
		err  error
		want function.Class
	}{
		{errors.New("no answer"), function.Unsent},
		{&smithy.GenericAPIError{Code: "ServiceException"}, function.Unsent},
		{&smithy.GenericAPIError{Code: "AccessDenied"}, function.Denied},
		{&smithy.GenericAPIError{Code: "ExpiredToken"}, function.BadSignature},
		{&smithy.GenericAPIError{Code: "Throttling"}, function.Throttled},
	} {
		f := wire(t, Deps{Sessions: sessions{c.err}}, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
		if _, err := f.Invoke(t.Context(), "acme", "f", nil); function.ClassOf(err) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%v: %v, want %s", c.err, err, c.want)
		}
	}
}

func TestAwaitPollsUntilTheFunctionIsActive(t *testing.T) {
	var polls atomic.Int64
	states := []string{"Pending", "", "Pending", "Active"}
	f := wire(t, Deps{}, func(w http.ResponseWriter, r *http.Request) {
		state := states[polls.Add(1)-1]
		if state == "" {
			refuse(429, "TooManyRequestsException", `{"message":"slow down"}`)(w, r)
			return
		}
		fmt.Fprintf(w, `{"Configuration":{"FunctionName":"f","State":%q}}`, state)
	})
	if err := f.Await(t.Context(), "f"); err != nil || polls.Load() != 4 {
		t.Errorf("%d polls, %v", polls.Load(), err)
	}
}

func TestAwaitGivesUp(t *testing.T) {
	for body, want := range map[string]function.Class{
		`{"Configuration":{"State":"Failed","StateReason":"no such role","StateReasonCode":"InvalidConfiguration"}}`: function.BadState,
		`{"Configuration":{"State":"Inactive"}}`: "",
	} {
		f := wire(t, Deps{}, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		if err := f.Await(t.Context(), "f"); function.ClassOf(err) != want {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	f := wire(t, Deps{}, refuse(500, "ServiceException", `{}`))
	if err := f.Await(t.Context(), "f"); function.ClassOf(err) != function.Ambiguous {
		t.Errorf("after %d failed polls: %v", failingPolls, err)
	}
}

type uploads struct{ key string }

func (u *uploads) Upload(_ context.Context, key string, _ []byte) (string, string, error) {
	u.key = key
	return "bucket", "prefix/" + key, nil
}

func TestLayersTooLargeForACallGoThroughABucket(t *testing.T) {
	var content struct {
		Content struct{ S3Bucket, S3Key, ZipFile string }
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		json.NewDecoder(r.Body).Decode(&content)
		w.WriteHeader(201)
		io.WriteString(w, `{"LayerVersionArn":"arn:1"}`)
	}
	large := function.LayerSpec{Name: "l", Zip: make([]byte, function.MaxZipBytes+1)}
	u := &uploads{}
	arn, err := wire(t, Deps{Uploads: u}, answer).PublishLayer(t.Context(), large)
	if err != nil || arn != "arn:1" || content.Content.S3Bucket != "bucket" || content.Content.S3Key != "prefix/layers/l.zip" || content.Content.ZipFile != "" {
		t.Errorf("%s %v, uploaded as %s, sent %+v", arn, err, u.key, content)
	}
	if _, err := wire(t, Deps{}, answer).PublishLayer(t.Context(), large); function.ClassOf(err) != function.Operator {
		t.Errorf("without a bucket: %v", err)
	}
}

func TestListReadsEveryPageAndLeavesOutOthersFunctions(t *testing.T) {
	f := wire(t, Deps{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("Marker") == "" {
			io.WriteString(w, `{"NextMarker":"2","Functions":[{"FunctionName":"sf-1","Runtime":"python3.13","CodeSize":7,"LastModified":"2026-11-23T09:00:00.000+0000"},{"FunctionName":"other"}]}`)
			return
		}
		io.WriteString(w, `{"Functions":[{"FunctionName":"sf-2"}]}`)
	})
	infos, err := f.List(t.Context())
	if err != nil || len(infos) != 2 || infos[1].Name != "sf-2" {
		t.Fatalf("%+v %v", infos, err)
	}
	want := function.Info{Name: "sf-1", Runtime: "python3.13", CodeBytes: 7, LastModified: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	if got := infos[0]; !got.LastModified.Equal(want.LastModified) || got.CodeBytes != 7 || got.Runtime != want.Runtime {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// With the transport's default of 10 idle connections, each burst of 40 runs
// would dial 30 new ones.
func TestConnectionsAreKeptForEveryRunAtWork(t *testing.T) {
	const runs = 40
	var dialled atomic.Int64
	arrived := make(chan struct{}, runs)
	release := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		io.WriteString(w, "{}")
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialled.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	f := at(s.URL, Deps{})
	for range 3 {
		done := make(chan error, runs)
		for range runs {
			go func() { _, err := f.Invoke(context.Background(), "acme", "f", nil); done <- err }()
		}
		for range runs {
			<-arrived
		}
		for range runs {
			release <- struct{}{}
		}
		for range runs {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := dialled.Load(); n > runs+runs/2 {
		t.Errorf("dialled %d connections for 3 bursts of %d runs", n, runs)
	}
}

// An invocation costs a fraction of what the SDK's client takes. Each answer is
// read as that client reads it.
func TestAnInvocationIsSentOnceAndNotByTheSDK(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"success": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") },
		"refusal": refuse(404, "ResourceNotFoundException", `{"message": "there is no function f"}`),
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			f := wire(t, Deps{}, func(w http.ResponseWriter, r *http.Request) {
				calls++
				if r.Header.Get("Amz-Sdk-Invocation-Id") != "" {
					t.Error("the SDK's client has called")
				}
				answer(w, r)
			})
			_, err := f.Invoke(t.Context(), "acme", "f", []byte("{}"))
			if calls != 1 || (err == nil) != (name == "success") || err != nil && !strings.Contains(err.Error(), "there is no function f") {
				t.Errorf("%d calls, %v", calls, err)
			}
		})
	}
}
