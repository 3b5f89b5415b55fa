package dashboards

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// throttle is between the workers and Lambda. While on, it answers invocations
// as Lambda does whose account has no concurrency left.
type throttle struct {
	url string
	on  atomic.Bool
}

func startThrottle(t *testing.T, endpoint string) *throttle {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	th := &throttle{}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // the signature covers it
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !th.on.Load() || !strings.HasSuffix(r.URL.Path, "/invocations") {
			forward.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-Amzn-ErrorType", "TooManyRequestsException")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"Type":"User","Reason":"ConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}`)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	th.url = server.URL
	return th
}
