package localaws

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// guarded serves a handler in the way that the stack serves its services.
func guarded(t *testing.T, next http.HandlerFunc) (*Stack, *observer.ObservedLogs, *httptest.Server) {
	core, logged := observer.New(zapcore.DebugLevel)
	s := &Stack{cfg: Config{Log: zap.New(core)}, panics: panicsTotal(prometheus.NewRegistry())}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.guard(w, r, next) }))
	t.Cleanup(server.Close)
	return s, logged, server
}

func TestAPanicInACallIsAnsweredInTheServicesOwnFormat(t *testing.T) {
	s, logged, server := guarded(t, func(http.ResponseWriter, *http.Request) { panic("a fault of ours") })
	calls := []struct{ path, target, want string }{
		{"/2015-03-31/functions/x/invocations", "", `"Type":"Service"`},
		{"/", "AmazonSQS.SendMessage", `"__type":"com.amazon.coral.service#InternalFailure"`},
		{"/", "", "<Code>InternalFailure</Code>"},
		{"/bucket/key", "", "<Code>InternalError</Code>"},
	}
	for n, c := range calls {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+c.path, nil)
		r.Header.Set("X-Amz-Target", c.target)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		id := logged.FilterMessage("panic").All()[n].ContextMap()["id"].(string)
		if res.StatusCode != 500 || !strings.Contains(string(body), c.want) || !strings.Contains(string(body), id) {
			t.Errorf("%s %s: %d %s", c.path, c.target, res.StatusCode, body)
		}
	}
	if n := testutil.ToFloat64(s.panics); int(n) != len(calls) {
		t.Errorf("%v panics are counted", n)
	}
}

func TestAPanicWithinAnAnswerBreaksItOff(t *testing.T) {
	_, _, server := guarded(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = w.Write([]byte("ha"))
		panic("a fault of ours")
	})
	res, err := http.Get(server.URL)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("half an answer passed for a whole one")
	}
}

func TestAConnectionThatIsGivenUpOnPurposeIsNoPanic(t *testing.T) {
	s, _, server := guarded(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if resp, err := http.Get(server.URL); err == nil {
		resp.Body.Close()
		t.Error("there was an answer")
	}
	if n := testutil.ToFloat64(s.panics); n != 0 {
		t.Errorf("%v panics are counted", n)
	}
}
