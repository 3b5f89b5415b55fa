package permissions

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Call is a call of AWS: its action as policies name it, and what it is of: the
// name of a queue, a function, a layer or a role, or the key of an object. In a
// policy, Of is a pattern.
type Call struct{ Action, Of string }

// Recorder is a proxy in front of an AWS endpoint that records the calls.
type Recorder struct {
	URL string

	mu    sync.Mutex
	calls []Call
}

// Record starts a proxy in front of the endpoint, until the test ends.
func Record(t *testing.T, endpoint string) *Recorder {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // the signature covers it
	}}
	p := &Recorder{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		p.mu.Lock()
		p.calls = append(p.calls, callOf(r, body))
		p.mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Calls are the calls up to now.
func (p *Recorder) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

func callOf(r *http.Request, body []byte) Call {
	if op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."); ok {
		var in struct{ QueueUrl, QueueName string } //nolint:revive // AWS's own names
		_ = json.Unmarshal(body, &in)
		return Call{"sqs:" + strings.TrimSuffix(op, "Batch"), path.Base(in.QueueUrl + in.QueueName)}
	}
	if r.Method == http.MethodPost && r.URL.Path == "/" {
		form, _ := url.ParseQuery(string(body))
		return Call{"sts:" + form.Get("Action"), form.Get("RoleArn")[strings.LastIndex(form.Get("RoleArn"), ":")+1:]}
	}
	if _, after, ok := strings.Cut(r.URL.Path, "/functions"); ok {
		return ofFunction(r.Method, strings.TrimPrefix(after, "/"), body)
	}
	if _, after, ok := strings.Cut(r.URL.Path, "/layers/"); ok {
		name, _, _ := strings.Cut(after, "/")
		return Call{map[string]string{http.MethodGet: "lambda:ListLayerVersions", http.MethodPost: "lambda:PublishLayerVersion"}[r.Method], "layer:" + name}
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if key == "" {
		return Call{r.Method, bucket}
	}
	return Call{map[string]string{http.MethodGet: "s3:GetObject", http.MethodPut: "s3:PutObject"}[r.Method], key}
}

func ofFunction(method, rest string, body []byte) Call {
	name, more, _ := strings.Cut(rest, "/")
	switch {
	case more == "invocations":
		return Call{"lambda:InvokeFunction", "function:" + name}
	case name == "" && method == http.MethodPost:
		var in struct{ FunctionName string }
		_ = json.Unmarshal(body, &in)
		return Call{"lambda:CreateFunction", "function:" + in.FunctionName}
	case name == "":
		return Call{"lambda:ListFunctions", "*"}
	}
	return Call{map[string]string{http.MethodGet: "lambda:GetFunction", http.MethodDelete: "lambda:DeleteFunction"}[method], "function:" + name}
}
