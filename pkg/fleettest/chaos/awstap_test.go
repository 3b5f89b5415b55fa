package chaos

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
)

// awsTap is a proxy in front of the stack's AWS endpoint.
type awsTap struct {
	holds
	upstream *url.URL
	client   *http.Transport
}

func newAWSTap(t *testing.T, endpoint string, seen func(call)) (tap *awsTap, addr string) {
	t.Helper()
	upstream, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	tap = &awsTap{
		holds: holds{seen: seen}, upstream: upstream,
		client: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	server := httptest.NewServer(tap)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		tap.client.CloseIdleConnections()
	})
	return tap, server.Listener.Addr().String()
}

// ServeHTTP forwards a call unchanged: the signature covers the Host header
// too.
func (a *awsTap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c := recognise(r, body)
	a.pass(before, c)
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the caller was killed: the call is not made
	}
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", a.upstream.Scheme, a.upstream.Host
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := a.client.RoundTrip(out)
	if err != nil {
		a.seen(c)
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	c.status, c.answer = resp.StatusCode, string(answer)
	a.seen(c)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	a.pass(after, c)
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer) // the caller may have been killed
}

// lambdaOps are the calls of Lambda's, by method and by path after its date.
var lambdaOps = []struct {
	method string
	path   *regexp.Regexp
	op     string
}{
	{http.MethodPost, regexp.MustCompile(`^/[\d-]+/functions/?$`), "CreateFunction"},
	{http.MethodPost, regexp.MustCompile(`^/[\d-]+/functions/([^/]+)/invocations$`), "Invoke"},
	{http.MethodPost, regexp.MustCompile(`^/[\d-]+/layers/([^/]+)/versions$`), "PublishLayerVersion"},
}

func recognise(r *http.Request, body []byte) call {
	c := call{service: "aws", body: string(body)}
	if op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."); ok {
		var in struct {
			URL string `json:"QueueUrl"`
		}
		_ = json.Unmarshal(body, &in) // not JSON: a call without a queue
		c.op, c.target = strings.TrimSuffix(op, "Batch"), path.Base(in.URL)
		return c
	}
	for _, o := range lambdaOps {
		if m := o.path.FindStringSubmatch(r.URL.Path); m != nil && o.method == r.Method {
			c.op, c.target = o.op, m[len(m)-1]
			return c
		}
	}
	return c
}
