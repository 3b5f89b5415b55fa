package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// runView is one run on a page.
type runView struct {
	Key                        run.Key
	Tenant, Source, ID, Action string
	State                      string // as explain names it
	Text                       string // where it is, in explain's words
	Status                     run.Status
	Stages                     []stageView
	Open                       bool // it has not ended
	Cancel                     bool // it can be cancelled from here
	Sent                       time.Time
	Attempts                   int
	Worker                     string

	Summary *ledger.Summary // nil where none is kept
	Timings *run.Timings
	Build   run.BuildOutcome
	Led     string // the worker that led the build that it waited for

	Own                    bool // this console sent it
	Result                 *run.Result
	Output, Stdout, Stderr string
	BuildLog               string
	LiveLog                bool         // BuildLog is still being written
	Gone                   string       // why there is no output
	Line                   int          // of the script that is at fault; 0 for none
	Before                 string       // what the last run of the same script took
	Request, Command       string       // to copy
	Lines                  []scriptLine // of the script about Line
}

type scriptLine struct {
	N     int
	Text  string
	Fault bool
}

// stageView is one of the stages of a run.
type stageView struct {
	Name  string
	State string // done, now, ahead, skipped
	Note  string
}

// view reads what is known of a run. A tenant, where it is given, is that of the
// run, and lets its summary be found.
func (c *Console) view(ctx context.Context, key run.Key, tenant string) (runView, error) {
	v := runView{Key: key, Tenant: tenant}
	e, err := look.ExplainKey(ctx, c.deps.Fleet, key)
	if err != nil {
		return v, err
	}
	v.State, v.Text, v.Status, v.Attempts, v.Worker = e.State, e.Text, e.Status, e.Attempts, e.Worker
	if e.Tenant != "" {
		v.Tenant, v.Source, v.ID = e.Tenant, e.Source, e.ID
	}
	own, before, isOwn := c.own.get(key)
	if isOwn {
		v.takeOwn(own, before, c.deps.Builds)
	}
	ended := v.Status != "" || v.State == string(ledger.Published)
	if ended && v.Result == nil && v.Tenant != "" {
		if err := c.addSummary(ctx, &v); err != nil {
			return v, err
		}
	}
	v.Open = !ended && v.State != look.StateName(ledger.Unknown) || isOwn && !own.done()
	switch {
	case v.Open && isOwn && v.State == look.StateName(ledger.Unknown):
		v.Text = "It is on the requests queue, and waits for a dispatcher."
	case v.Open && isOwn && ended:
		v.Text = "It has ended; its result is on its way from the results queue."
	case v.Summary != nil:
		v.Text = ""
	}
	v.Cancel = v.Open && v.State != string(ledger.Invoking) && !ended && v.ID != "" && (c.cfg.AllowChanges || isOwn && c.cfg.AllowRuns)
	v.Stages = stagesOf(v, e.Waiting)
	return v, nil
}

// takeOwn adds what this console knows of its own run.
func (v *runView) takeOwn(own, before ownRun, logs *BuildLogs) {
	r := own.request
	v.Own, v.Sent = true, own.sent
	v.Tenant, v.Source, v.ID, v.Action = r.Tenant, r.Source, r.ID, r.Data.Action
	v.Request, v.Command = requestText(r), commandLine(r)
	if lines := logs.of(own.env, own.sent); len(lines) > 0 {
		v.BuildLog, v.LiveLog = strings.Join(lines, "\n"), own.result == nil
	}
	if own.gone {
		v.Gone = "Its output is not here: the results queue gave it to another consumer. The status and the times are from the ledger."
	}
	if own.result == nil {
		return
	}
	res := own.result
	v.Result, v.Status, v.Timings, v.Build = res, res.Data.Status, &res.Data.Timings, res.Data.Build.Outcome
	v.Output, v.Stdout, v.Stderr = indented(res.Data.Output), res.Data.Logs.Stdout, res.Data.Logs.Stderr
	v.Text, v.State, v.Attempts = "", string(ledger.Published), res.Data.Attempt
	if by := res.Data.Build.WaitedOn; by != nil {
		v.Led = *by
	}
	if log := res.Data.Build.Log; log != nil && *log != "" {
		v.BuildLog = *log
	}
	if v.Build == run.BuildReused {
		v.BuildLog = ""
	}
	if e := res.Data.Error; e != nil {
		v.Line = faultLine(e)
		v.Lines = around(r.Data.Script, v.Line)
	}
	if before.result != nil && (v.Build == run.BuildReused || v.Build == run.BuildBridged) {
		t := before.result.Data.Timings
		v.Before = fmt.Sprintf("The run before took %s", ms(t.Total))
		if built := t.Build + t.BuildWait; built > 0 {
			found := map[run.BuildOutcome]string{run.BuildReused: "the function", run.BuildBridged: "an env runner"}[v.Build]
			v.Before += fmt.Sprintf(", %s of it the build; this one found %s built", ms(built), found)
		}
		v.Before += "."
	}
}

// addSummary adds what the ledger keeps of a run that has ended.
func (c *Console) addSummary(ctx context.Context, v *runView) error {
	recent, err := c.deps.Fleet.Ledger.Recent(ctx, v.Tenant)
	if err != nil {
		return err
	}
	for _, s := range recent {
		if s.Run == v.Key {
			v.Summary, v.Timings, v.Build, v.Status = &s, &s.Timings, s.Build, s.Status
			v.Source, v.ID, v.Action, v.Attempts, v.Worker = s.Source, s.ID, s.Action, s.Attempt, s.Worker
			return nil
		}
	}
	return nil
}

// stagesOf are the stages of a run, as far as the ledger tells them apart.
func stagesOf(v runView, waiting string) []stageView {
	names := []string{"Queue", "Build", "Execute", "Result"}
	now := 0
	notes := map[string]string{}
	switch {
	case !v.Open && (v.Status != "" || v.State == string(ledger.Published)):
		now = len(names)
	case v.State == string(ledger.Done), v.State == string(ledger.Published):
		now = 3
	case v.State == string(ledger.Invoking):
		now = 2
	case strings.Contains(waiting, "build"), v.LiveLog:
		now = 1
	}
	if t := v.Timings; t != nil {
		notes["Queue"] = ms(t.Intake + t.Queue)
		notes["Build"] = ms(t.Build + t.BuildWait)
		notes["Execute"] = ms(t.Init + t.Execute)
		notes["Result"] = ms(t.Publish)
		if v.Build == run.BuildReused {
			notes["Build"] = "was built"
		}
	}
	stages := make([]stageView, len(names))
	for i, name := range names {
		stages[i] = stageView{Name: name, State: "ahead", Note: notes[name]}
		switch {
		case i < now:
			stages[i].State = "done"
		case i == now:
			stages[i].State = "now"
		}
	}
	return stages
}

var atLine = regexp.MustCompile(`script\.py"?, line (\d+)`)

// faultLine is the line of the script that an error names last.
func faultLine(e *run.Error) int {
	for _, text := range []string{e.Traceback, e.Message} {
		if all := atLine.FindAllStringSubmatch(text, -1); len(all) > 0 {
			n, _ := strconv.Atoi(all[len(all)-1][1])
			return n
		}
	}
	return 0
}

// around are the lines of a script about the one at fault.
func around(script string, at int) (lines []scriptLine) {
	if at == 0 {
		return nil
	}
	for i, text := range strings.Split(script, "\n") {
		if n := i + 1; n >= at-4 && n <= at+3 {
			lines = append(lines, scriptLine{n, text, n == at})
		}
	}
	return lines
}

// indented is JSON for reading.
func indented(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

func (c *Console) runPage(w http.ResponseWriter, r *http.Request) {
	v, err := c.view(r.Context(), run.Key(r.PathValue("key")), r.URL.Query().Get("tenant"))
	switch {
	case err != nil:
		c.away(w, r, err)
	case v.State == look.StateName(ledger.Unknown) && !v.Own:
		c.fail(w, r, http.StatusNotFound, errors.New("the ledger does not know this run: it was never accepted, was published longer ago than the ledger remembers, or Redis was flushed"))
	default:
		c.show(w, r, "run", "Run "+string(v.Key), v)
	}
}

// liveEvery is how often a live run is looked at.
const liveEvery = 300 * time.Millisecond

func (c *Console) runLive(w http.ResponseWriter, r *http.Request) {
	key, tenant := run.Key(r.PathValue("key")), r.URL.Query().Get("tenant")
	c.stream(w, r, liveEvery, func(ctx context.Context) (string, bool, error) {
		v, err := c.view(ctx, key, tenant)
		if err != nil {
			return "", false, err
		}
		part, err := c.pages.part("run", "live", v)
		return part, !v.Open, err
	})
}

func (c *Console) cancelRun(w http.ResponseWriter, r *http.Request) {
	key := run.Key(r.PathValue("key"))
	_, _, isOwn := c.own.get(key)
	if err := c.mayChange("cancel runs of others"); err != nil && !(isOwn && c.cfg.AllowRuns) {
		c.fail(w, r, http.StatusForbidden, err)
		return
	}
	v, err := c.view(r.Context(), key, r.FormValue("tenant"))
	switch {
	case err != nil:
		c.away(w, r, err)
		return
	case !v.Cancel:
		c.fail(w, r, http.StatusConflict, errors.New("this run can't be cancelled any more: its script executes, or it has ended"))
		return
	}
	// The cancellation has a result of its own, which nobody else waits for.
	_, err = c.own.send(r.Context(), run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeCancelled, Source: v.Source, ID: "cancel-" + uuid.NewString(), Tenant: v.Tenant,
		Data: run.RequestData{Run: v.ID},
	})
	if err != nil {
		c.away(w, r, err)
		return
	}
	c.change(r, "asked to cancel a run", zap.String("run", string(key)), zap.String("tenant", v.Tenant))
	if wantsJSON(r) {
		answerJSON(w, http.StatusAccepted, map[string]string{"run": string(key)})
		return
	}
	http.Redirect(w, r, runPath(key, v.Tenant), http.StatusSeeOther)
}

// runPath is the address of a run's page.
func runPath(key run.Key, tenant string) string {
	return "/runs/" + url.PathEscape(string(key)) + "?" + url.Values{"tenant": {tenant}}.Encode()
}
