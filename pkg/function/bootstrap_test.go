package function

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// runtimeAPI is Lambda's Runtime API: it gives the payloads in turn, and then
// nothing until the test ends.
type runtimeAPI struct {
	t        *testing.T
	payloads [][]byte
	answers  chan Invocation
}

func (a *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch path := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/"); {
	case path == "invocation/next" && len(a.payloads) > 0:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-1")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", "9999999999999")
		_, _ = w.Write(a.payloads[0])
		a.payloads = a.payloads[1:]
	case path == "invocation/next":
		<-r.Context().Done()
	case path == "invocation/request-1/response":
		a.answers <- Invocation{Payload: body}
	case path == "invocation/request-1/error", path == "init/error":
		a.answers <- Invocation{Payload: body, FunctionError: "Unhandled"}
	default:
		a.t.Errorf("it calls %s %s", r.Method, r.URL.Path)
	}
}

// bootstrapped runs the function's bootstrap with the newest interpreter.
func bootstrapped(t *testing.T, s run.Script, handler string, payloads ...[]byte) *runtimeAPI {
	t.Helper()
	set := interpreters(t)
	python, _ := set.Newest()
	s.Runtime = run.Runtime{Name: "own", Lambda: run.Custom, Python: python.Minor, Zip: "any"}
	zip, err := Packager{Interpreters: set}.Pack(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	root, files := t.TempDir(), unzip(t, zip)
	if !strings.HasPrefix(files[bootstrapFile], "#!/opt/bin/python3 ") { // where Lambda unpacks the runtime's layer
		t.Errorf("the bootstrap begins with %.30q", files[bootstrapFile])
	}
	for name, body := range files {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755)
		if err := os.WriteFile(filepath.Join(root, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	api := &runtimeAPI{t: t, payloads: payloads, answers: make(chan Invocation, len(payloads)+1)}
	server := httptest.NewServer(api)
	cmd := exec.CommandContext(t.Context(), python.Path, "-uBs", filepath.Join(root, bootstrapFile))
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + server.Listener.Addr().String(), "LAMBDA_TASK_ROOT=" + root, "_HANDLER=" + handler, "PATH=/usr/bin:/bin"}
	cmd.Dir, cmd.Stderr = root, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); server.CloseClientConnections(); server.Close() })
	return api
}

func (a *runtimeAPI) next() Invocation {
	a.t.Helper()
	select {
	case got := <-a.answers:
		return got
	case <-time.After(30 * time.Second):
		a.t.Fatal("no answer within 30 s")
		return Invocation{}
	}
}

func TestTheBootstrapRunsTheHandlerOnTheRuntimeAPI(t *testing.T) {
	t.Parallel()
	s := run.Script{Source: "def main(input):\n    return {'é': input['n'] + 1}\n", TimeoutSeconds: 10}
	payload := func(input string) []byte {
		body, err := Call{Input: json.RawMessage(input)}.Payload()
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	api := bootstrapped(t, s, Handler, payload(`{"n": 1}`), payload(`{}`), []byte("no JSON"), payload(`{"n": 2}`))
	if got := Read(api.next(), s); got.Status != run.Succeeded || string(got.Output) != `{"é": 2}` {
		t.Errorf("the first run: %+v", got)
	}
	if got := Read(api.next(), s); got.Status != run.Failed || got.Error.Type != "KeyError" {
		t.Errorf("a run that fails: %+v", got)
	}
	if got := api.next(); got.FunctionError == "" || !strings.Contains(string(got.Payload), `"errorType": "JSONDecodeError"`) {
		t.Errorf("what is no JSON: %s", got.Payload)
	}
	if got := Read(api.next(), s); got.Status != run.Succeeded || string(got.Output) != `{"é": 3}` {
		t.Errorf("the run after: %+v", got)
	}
}

func TestTheBootstrapTellsWhyTheHandlerIsNotThere(t *testing.T) {
	t.Parallel()
	got := bootstrapped(t, run.Script{Source: "def main(input): pass\n"}, "no_such_module.handle").next()
	if got.FunctionError == "" || !strings.Contains(string(got.Payload), "No module named 'no_such_module'") {
		t.Errorf("it tells %s", got.Payload)
	}
}
