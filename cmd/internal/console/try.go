package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/examples"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// form is the form of the page Try a script.
type form struct {
	Action, Script, Requirements, Input, Runtime, Timeout, Tenant, Credential string
}

// tryView is the page.
type tryView struct {
	form
	Examples []examples.Example
	Example  string
	Runtimes []string
	Default  string // the runtime of requests that name none
	MaxS     int
	Tenants  []string
	Fault    *inputFault
	Error    string
	Line     int
}

func (c *Console) tryPage(w http.ResponseWriter, r *http.Request) {
	all := examples.All()
	chosen := all[0]
	for _, e := range all {
		if e.Name == r.URL.Query().Get("example") {
			chosen = e
		}
	}
	f := form{
		Action: chosen.Name, Script: chosen.Script, Requirements: chosen.Requirements, Input: chosen.Input, Tenant: "local",
		Runtime: chosen.Runtime,
	}
	if chosen.TimeoutSeconds > 0 {
		f.Timeout = fmt.Sprint(chosen.TimeoutSeconds)
	}
	if own, _, ok := c.own.get(run.Key(r.URL.Query().Get("run"))); ok {
		f = formOf(own.request)
		chosen.Name = ""
	}
	c.showTry(w, r, http.StatusOK, tryView{form: f, Example: chosen.Name})
}

func (c *Console) showTry(w http.ResponseWriter, r *http.Request, status int, v tryView) {
	settings := c.deps.Fleet.Settings
	runtimes, err := c.runtimes()
	if err != nil {
		c.fail(w, r, http.StatusInternalServerError, err)
		return
	}
	v.Examples, v.Runtimes, v.Default, v.MaxS = examples.All(), runtimes, settings.DefaultRuntime, settings.MaxTimeout
	names := c.deps.Fleet.Tenants().Settings().Names()
	v.Tenants = names[:min(len(names), 100)]
	c.render(w, r, status, "try", "Try a script", v)
}

func formOf(r run.Request) form {
	f := form{
		Action: r.Data.Action, Script: r.Data.Script, Requirements: r.Data.Requirements, Input: indented(r.Data.Input), Runtime: r.Data.Runtime,
		Tenant: r.Tenant, Credential: r.Data.Credential,
	}
	if r.Data.TimeoutSeconds > 0 {
		f.Timeout = fmt.Sprint(r.Data.TimeoutSeconds)
	}
	return f
}

func readForm(r *http.Request) (form, error) {
	if err := r.ParseForm(); err != nil {
		return form{}, fmt.Errorf("read the form: %w", err)
	}
	get := func(name string) string { return strings.ReplaceAll(r.PostForm.Get(name), "\r\n", "\n") }
	return form{
		Action: get("action"), Script: get("script"), Requirements: get("requirements"), Input: get("input"), Runtime: get("runtime"),
		Timeout: get("timeout"), Tenant: get("tenant"), Credential: get("credential"),
	}, nil
}

// request is the request that the form makes.
func (f form) request() (run.Request, error) {
	timeout := 0
	if f.Timeout != "" {
		var err error
		if timeout, err = strconv.Atoi(f.Timeout); err != nil || timeout < 1 {
			return run.Request{}, fmt.Errorf("the timeout %q is no number of seconds", f.Timeout)
		}
	}
	input := strings.TrimSpace(f.Input)
	if input == "" {
		input = "{}"
	}
	if fault := checkInput(input); fault != nil {
		return run.Request{}, faultOf(f.Input)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(input)); err != nil {
		return run.Request{}, err
	}
	return run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: source, ID: uuid.NewString(), Tenant: strings.TrimSpace(f.Tenant),
		Data: run.RequestData{
			Action: f.Action, Runtime: f.Runtime, Script: f.Script, Requirements: f.Requirements, Input: compact.Bytes(),
			TimeoutSeconds: timeout, Credential: strings.TrimSpace(f.Credential),
		},
	}, nil
}

// inputFault is where an input is no JSON object.
type inputFault struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"` // in characters, from 1
	Message string `json:"message"`
}

func (e *inputFault) Error() string {
	return fmt.Sprintf("the input is no JSON object: line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// faultOf is checkInput of a text with space around it.
func faultOf(text string) *inputFault { return checkInput(text) }

// checkInput tells where text is no JSON object, or returns nil.
func checkInput(text string) *inputFault {
	dec := json.NewDecoder(strings.NewReader(text))
	var object map[string]json.RawMessage
	err := dec.Decode(&object)
	at := dec.InputOffset()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	said := ""
	switch {
	case errors.As(err, &syntax):
		at, said = syntax.Offset-1, syntax.Error()
	case errors.As(err, &kind):
		at, said = 0, "an input is an object, such as {\"name\": \"value\"}, and this is a "+kind.Value
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		at, said = int64(len(strings.TrimRight(text, " \t\n"))), "it ends too early"
	case err != nil:
		said = err.Error()
	case object == nil:
		at, said = 0, "an input is an object, such as {\"name\": \"value\"}, and this is null"
	default:
		rest := text[at:]
		if trimmed := strings.TrimLeft(rest, " \t\r\n"); trimmed != "" {
			at, said = int64(len(text)-len(trimmed)), "nothing may stand after the object"
		}
	}
	if said == "" {
		return nil
	}
	before := text[:max(0, min(at, int64(len(text))))]
	line := strings.Count(before, "\n")
	return &inputFault{Line: line + 1, Column: utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1, Message: said}
}

// startRun enqueues the form's request.
func (c *Console) startRun(w http.ResponseWriter, r *http.Request) {
	f, err := readForm(r)
	if err != nil {
		c.fail(w, r, http.StatusBadRequest, err)
		return
	}
	if err := c.mayRun(); err != nil {
		c.fail(w, r, http.StatusForbidden, err)
		return
	}
	request, err := f.request()
	if err == nil && !request.Attributable() {
		err = fmt.Errorf("the tenant %q is not one that a request may name: letters, digits, and . _ - inside", request.Tenant)
	}
	if err != nil {
		c.refuse(w, r, f, err)
		return
	}
	own, err := c.own.send(r.Context(), request)
	switch {
	case errors.Is(err, errBusy):
		c.fail(w, r, http.StatusTooManyRequests, err)
		return
	case err != nil:
		c.away(w, r, err)
		return
	}
	c.change(r, "started a run", zap.String("run", string(own.key)), zap.String("tenant", request.Tenant), zap.String("credential", request.Data.Credential))
	if wantsJSON(r) {
		answerJSON(w, http.StatusAccepted, map[string]string{"run": string(own.key), "live": livePath(own.key, request.Tenant)})
		return
	}
	http.Redirect(w, r, runPath(own.key, request.Tenant), http.StatusSeeOther)
}

// livePath is the address of a run's live part.
func livePath(key run.Key, tenant string) string {
	return strings.Replace(runPath(key, tenant), "?", "/live?", 1)
}

// refuse shows the form again, with what is wrong with it.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, f form, err error) {
	var fault *inputFault
	errors.As(err, &fault)
	if wantsJSON(r) {
		answer := map[string]any{"error": strings.ToUpper(err.Error()[:1]) + err.Error()[1:]}
		if fault != nil {
			answer["input"] = fault
		}
		answerJSON(w, http.StatusOK, answer) // an answer, not a failure, which the browser would report
		return
	}
	c.showTry(w, r, http.StatusUnprocessableEntity, tryView{form: f, Fault: fault, Error: err.Error()})
}

// showRequest answers the form's request as JSON, and as a line for a shell; and
// where the input is no JSON, if it is not.
func (c *Console) showRequest(w http.ResponseWriter, r *http.Request) {
	f, err := readForm(r)
	if err != nil {
		c.fail(w, r, http.StatusBadRequest, err)
		return
	}
	request, err := f.request()
	if err != nil {
		c.refuse(w, r, f, err)
		return
	}
	answerJSON(w, http.StatusOK, map[string]string{"request": requestText(request), "command": commandLine(request)})
}

// requestText is a request as it is enqueued, for reading.
func requestText(r run.Request) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(r) // strings and numbers always encode
	return b.String()
}

// commandLine is a line for bash that runs the same.
func commandLine(r run.Request) string {
	words := []string{"scriptfleet run -"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag+" "+quote(value))
		}
	}
	add("tenant", r.Tenant)
	add("runtime", r.Data.Runtime)
	if r.Data.TimeoutSeconds > 0 {
		add("timeout", fmt.Sprint(r.Data.TimeoutSeconds))
	}
	add("credential", r.Data.Credential)
	if input := string(r.Data.Input); input != "{}" {
		add("input", input)
	}
	if reqs := strings.TrimSpace(r.Data.Requirements); reqs != "" {
		words = append(words, "--requirements <(printf '%s\\n' "+quote(reqs)+")")
	}
	script := r.Data.Script
	if !strings.HasSuffix(script, "\n") {
		script += "\n"
	}
	end := "SCRIPT"
	for slices.Contains(strings.Split(script, "\n"), end) {
		end += "_"
	}
	return strings.Join(words, " ") + " <<'" + end + "'\n" + script + end + "\n"
}

// quote is a word for a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/=:@%+,", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
