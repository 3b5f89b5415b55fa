package fleettest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// spans is a collector of OTLP over HTTP.
type spans struct {
	*httptest.Server
	mu  sync.Mutex
	raw bytes.Buffer
	all []span
}

// span is one that came, with its ids in hexadecimal.
type span struct {
	*otlp.Span
	service, trace, id, parent string
}

func collectSpans(t *testing.T) *spans {
	c := &spans{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &batch)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("POST %s: %v", r.URL.Path, err)
		}
		c.take(body, &batch)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *spans) take(body []byte, batch *collector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, from := range batch.ResourceSpans {
		service := ""
		for _, a := range from.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range from.ScopeSpans {
			for _, s := range scope.Spans {
				c.all = append(c.all, span{s, service, hex.EncodeToString(s.TraceId), hex.EncodeToString(s.SpanId), hex.EncodeToString(s.ParentSpanId)})
			}
		}
	}
}

// of returns the spans of a trace, by name; "" stands for all traces.
func (c *spans) of(trace string) map[string][]span {
	c.mu.Lock()
	defer c.mu.Unlock()
	byName := map[string][]span{}
	for _, s := range c.all {
		if trace == "" || s.trace == trace {
			byName[s.Name] = append(byName[s.Name], s)
		}
	}
	return byName
}

// attribute is one of a span's, as text.
func (s span) attribute(name string) string {
	for _, a := range s.Attributes {
		if a.Key == name {
			if v := a.Value.GetStringValue(); v != "" {
				return v
			}
			return fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return ""
}

// TestEachRunIsOneTraceOverThreeProcesses lets a command, a dispatcher and a
// worker export what they do, and looks at what a collector gets.
func TestEachRunIsOneTraceOverThreeProcesses(t *testing.T) {
	t.Parallel()
	f := launch(t, shipped, "--no-fleet")
	got := collectSpans(t)
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + got.URL, "OTEL_BSP_SCHEDULE_DELAY=20", "OTEL_RESOURCE_ATTRIBUTES=team=a"}
	d := f.process("dispatcher", env, "--log-level", "debug")
	w := f.workerWith(env, "--log-level", "debug")

	const source = "def main(input):\n    print('text-of-the-log')\n    return 'text-of-the-' + input['password']\n"
	ended := command(t, f.env(env...), "", "run", files.Write(t, "script.py", source), "--input", `{"password": "secret-in-the-input"}`)
	if ended.Code != 0 {
		t.Fatalf("the command ends with %d: %s", ended.Code, ended.Stderr)
	}
	var trace string
	eventually(t, "the spans of the run do not come", func() bool {
		roots := got.of("")["scriptfleet run"]
		if len(roots) == 0 {
			return false
		}
		trace = roots[0].trace
		all := got.of(trace)
		return len(all["run"]) > 0 && len(all["intake"]) > 0
	})
	checkTree(t, got.of(trace))

	f.withMailbox()
	const burst = 4
	var ids []string
	for i := range burst {
		ids = append(ids, fmt.Sprintf("4bf92f3577b34da6a3ce929d0e0e473%x", i))
		f.send(traced(fmt.Sprint("burst-", i), ids[i], "01", "def main(input): return 'all the same'"))
	}
	const unsampled, failing = "4bf92f3577b34da6a3ce929d0e0e4740", "4bf92f3577b34da6a3ce929d0e0e4741"
	f.send(traced("unsampled", unsampled, "00", "def main(input): return 'not traced'"))
	if res := f.Await(t, "unsampled"); !strings.Contains(string(res.Body), `"traceparent":"00-`+unsampled+`-00f067aa0ba902b7-00"`) {
		t.Errorf("the result does not carry the trace: %s", res.Body)
	}
	f.send(traced("failing", failing, "01", "def main(input): raise KeyError('secret-in-the-error')"))
	f.Await(t, "failing")
	eventually(t, "the spans of the burst do not come", func() bool {
		return !slices.ContainsFunc(append(ids, failing), func(id string) bool { return len(got.of(id)["run"]) == 0 })
	})
	builds := map[string]bool{}
	for _, id := range ids {
		all := got.of(id)
		if r := all["run"][0]; r.parent != "00f067aa0ba902b7" {
			t.Errorf("the run's parent is %s, not the sender's span", r.parent)
		}
		for _, wait := range all["build wait"] {
			for _, link := range wait.Links {
				builds[hex.EncodeToString(link.SpanId)] = true
			}
		}
	}
	if len(builds) != 1 {
		t.Fatalf("runs of one script are linked with the builds %v", builds)
	}
	eventually(t, "the build's span does not come", func() bool {
		return len(got.of("")["build"]) >= 3
	})
	n := 0
	for _, b := range got.of("")["build"] {
		if builds[b.id] {
			n++
			if b.parent != "" || len(b.Links) == 0 {
				t.Errorf("the build has parent %q and links %v", b.parent, b.Links)
			}
		}
	}
	if n != 1 {
		t.Errorf("the build has %d spans", n)
	}
	if bad := got.of(failing)["run"][0]; bad.attribute("error.type") != "KeyError" || bad.Status.Code != otlp.Status_STATUS_CODE_ERROR ||
		bad.attribute("scriptfleet.status") != string(run.Failed) {
		t.Errorf("a failed run has %v, %v", bad.Status, bad.Attributes)
	}
	if all := got.of(unsampled); len(all) > 0 {
		t.Errorf("a run whose sender does not sample has spans: %v", all)
	}
	const refused = "4bf92f3577b34da6a3ce929d0e0e4742"
	f.send(strings.Replace(traced("refused", refused, "01", "def main(input): pass"), `"script"`, `"runtime":"secret-in-a-field","script"`, 1))
	f.Await(t, "refused")
	eventually(t, "a refused request has no spans", func() bool { return len(got.of(refused)["run"]) == 1 && len(got.of(refused)["intake"]) == 1 })
	lines := settledLines(t, d.Said()+w.Said())
	for _, id := range append(ids, unsampled, failing, refused, trace) {
		if n := len(lines[id]); n != 1 {
			t.Errorf("a run has %d lines: %v", n, lines[id])
			continue
		}
		line := lines[id][0]
		for _, field := range []string{"tenant", "run", "id", "status", "attempt", "build", "timings_ms"} {
			if _, ok := line[field]; !ok {
				t.Errorf("the line of a run has no %s: %v", field, line)
			}
		}
	}
	for _, text := range []string{"secret-in", "text-of", "all the same", "def main", f.set["AWS_SECRET_ACCESS_KEY"]} {
		if bytes.Contains(got.raw.Bytes(), []byte(text)) {
			t.Errorf("spans tell %q", text)
		}
		for line := range strings.Lines(d.Said() + w.Said()) {
			if strings.Contains(line, text) {
				t.Errorf("a log tells %q: %s", text, line)
			}
		}
	}
	if page := openMetrics(t, w.Admin()); !strings.Contains(page, `# {trace_id="`+failing+`"}`) {
		t.Error("no exemplar names the trace of a run")
	}

	// Without a collector runs go on, and that is told once.
	got.CloseClientConnections()
	got.Close()
	f.goesOn(t)
	eventually(t, "nothing tells that the collector is away", func() bool {
		return metric(t, w.Admin(), `scriptfleet_process_spans_total{outcome="dropped"}`) > 0
	})
	w.Terminate()
	if n := strings.Count(w.Said(), "traces cannot be exported"); n != 1 {
		t.Errorf("a collector that is away is told in %d lines", n)
	}
}

// settledLines are the log lines of settled runs, by the ids of their traces.
func settledLines(t *testing.T, log string) map[string][]map[string]any {
	t.Helper()
	lines := map[string][]map[string]any{}
	for text := range strings.Lines(log) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("a line is not JSON: %s", text)
		}
		if name, _ := line["logger"].(string); strings.HasSuffix(name, ".runs") {
			id, _ := line["trace_id"].(string)
			lines[id] = append(lines[id], line)
		}
	}
	return lines
}

// checkTree checks the spans of a run that the command has sent.
func checkTree(t *testing.T, all map[string][]span) {
	t.Helper()
	tree := map[string][2]string{ // name: parent, service
		"scriptfleet run": {"", "scriptfleet"},
		"run":             {"scriptfleet run", "scriptfleet-worker"},
		"intake":          {"run", "scriptfleet-dispatcher"},
		"build wait":      {"run", "scriptfleet-worker"},
		"slot wait":       {"run", "scriptfleet-worker"},
		"invoke":          {"run", "scriptfleet-worker"},
		"init":            {"invoke", "scriptfleet-worker"},
		"execute":         {"invoke", "scriptfleet-worker"},
		"publish":         {"run", "scriptfleet-worker"},
	}
	for name, want := range tree {
		if len(all[name]) == 0 {
			t.Errorf("there is no span %s", name)
			continue
		}
		s, parent := all[name][0], ""
		if want[0] != "" && len(all[want[0]]) > 0 {
			parent = all[want[0]][0].id
		}
		if s.parent != parent || s.service != want[1] || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s of %s has the parent %s, not %s: %s", name, s.service, s.parent, want[0], parent)
		}
	}
	for name := range all {
		if _, known := tree[name]; !known && name != "queue" {
			t.Errorf("there is a span %s", name)
		}
	}
	if r := all["run"]; len(r) != 1 || r[0].attribute("scriptfleet.tenant") != "local" || r[0].attribute("scriptfleet.status") != "succeeded" ||
		r[0].attribute("scriptfleet.build") != "built" || len(r[0].attribute("scriptfleet.script")) != 26 {
		t.Errorf("the run's span has %v", r)
	}
	if wait := all["build wait"]; len(wait) == 1 && len(wait[0].Links) != 1 {
		t.Errorf("a run that waited for one build has the links %v", wait[0].Links)
	}
}

// traced is a request of a story that has a trace.
func traced(id, trace, flags, script string) string {
	body := request(id, Data{Script: script})
	return `{"traceparent":"00-` + trace + `-00f067aa0ba902b7-` + flags + `",` + strings.TrimPrefix(body, "{")
}

// openMetrics is the metrics page as Prometheus asks for it.
func openMetrics(t *testing.T, admin string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return answered(t, resp)
}
