package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

type runCommand struct {
	config.Fleet
	config.Worker

	File         string           `arg:"" optional:"" help:"The script; - reads it from standard input."`
	ScriptRef    string           `help:"Instead of a file: id, id@version or id@label of a script in the tenant's registry."`
	Caller       string           `help:"Team that runs the script of --script-ref."`
	Input        string           `help:"JSON object that main gets; @FILE reads it from a file." default:"{}"`
	Requirements requirementsFile `help:"File of requirements, in the form of requirements.txt."`
	Runtime      string           `help:"Such as python3.12 or aws-cli; the fleet's default if empty."`
	Timeout      *int             `min:"1" max:"900" help:"Seconds before the script is ended."`
	Tenant       string           `default:"local" help:"Tenant that the run belongs to."`
	Credential   string           `help:"Name of a credential of the tenant's."`
	roleFlags
	Event    bool          `help:"Print the whole result event instead of the output alone."`
	Lock     bool          `help:"Print the packages that the script's layer has, with their hashes, as a requirements file, instead of the output."`
	JSON     bool          `name:"json" help:"The same as --event."`
	Wait     time.Duration `default:"20m" min:"1s" max:"1d" help:"How long to wait for the result."`
	LogLevel string        `default:"error" enum:"debug,info,warn,error" help:"Log level of the embedded stack, on stderr."`
}

// Help is shown below the flags.
func (runCommand) Help() string {
	return `Enqueues one request and waits for its result. The output of main, and nothing else, goes to stdout; what the script printed, and errors, to stderr. Where AWS_ENDPOINT_URL or REDIS_URL is set, the fleet there runs it; else an embedded stack, for this one run.

With --role, the embedded stack has a credential, whose role may do what the policy allows in an AWS account of the embedded stack: everything without one. The script finds the keys in input["AwsCredentials"], and commands of aws-cli in their environment.

Exit codes: 0 succeeded, 1 failed, 2 usage, 3 build_failed, 4 timed_out, 5 rejected, 6 everything else.

Examples:

  scriptfleet run hello.py --input '{"array_length": 5}'
  scriptfleet run report.py --requirements requirements.txt --timeout 30 --event
  scriptfleet run report.py --requirements requirements.txt --lock > locked.txt
  scriptfleet run --script-ref phishing/extract@prod --tenant acme --caller team-b
  scriptfleet run examples/buckets.py --input '{"bucket": "reports"}' --credential aws-prod --role aws-prod
  echo 'aws sts get-caller-identity' | scriptfleet run - --runtime aws-cli --credential aws-prod --role aws-prod
  echo 'aws s3 mb s3://reports >&2; aws s3 ls' | scriptfleet run - --runtime aws-cli --credential aws-prod --role aws-prod
  echo 'aws sqs create-queue --queue-name work | jq .QueueUrl' | scriptfleet run - --runtime aws-cli --credential aws-prod --role aws-prod`
}

// exitOther is the exit code for every status without one of its own.
const exitOther = 6

var exitCodes = map[run.Status]int{
	run.Succeeded: 0, run.Failed: exitFailed, run.BuildFailed: 3, run.TimedOut: 4, run.Rejected: 5,
}

func (c *runCommand) Run(ctx context.Context) error {
	request, err := c.request()
	if err != nil {
		return exitError{exitUsage, err}
	}
	if refused := unattributable(request); refused != nil {
		return exitError{exitCodes[run.Rejected], fmt.Errorf("%s: %s: %s", run.Rejected, refused.Type, refused.Message)}
	}
	log, err := telemetry.NewLogger(c.LogLevel, "auto")
	if err != nil {
		return exitError{exitUsage, err}
	}
	roles, err := c.roles()
	if err != nil {
		return err
	}
	if c.Credential == "" && len(roles) > 0 {
		return exitError{exitUsage, errors.New("--role makes a credential, and the run asks for none: give --credential NAME as well")}
	}
	if len(roles) > 0 && configured(c.Fleet) {
		return exitError{exitUsage, errors.New("--role is for the embedded stack of one run, and the environment names a fleet: give --role to scriptfleet local, or unset AWS_ENDPOINT_URL and REDIS_URL")}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	line := progress.Stderr()
	if c.Credential != "" && len(roles) == 0 && c.TenantsFile == "" && !configured(c.Fleet) {
		line.Print(os.Stderr, "scriptfleet: the embedded stack has no credential %q, so the script gets no keys: give --role %s, or --tenants FILE", c.Credential, c.Credential)
	}
	res, packages, err := c.execute(ctx, request, roles, log, line)
	line.Stop()
	if err != nil {
		return exitError{exitOther, err}
	}
	if c.Lock && res.Data.Status == run.Succeeded {
		fmt.Print(run.Lock(packages))
		return nil
	}
	return c.print(res)
}

// request reads the files and makes the request.
func (c *runCommand) request() (run.Request, error) {
	if (c.File == "") == (c.ScriptRef == "") {
		return run.Request{}, errors.New("name the script: either its file, or --script-ref for one of the registry")
	}
	var script string
	var err error
	if c.ScriptRef == "" {
		if script, err = readText(c.File); err != nil {
			return run.Request{}, fmt.Errorf("read the script: %w", err)
		}
	}
	input := c.Input
	if name, ok := strings.CutPrefix(c.Input, "@"); ok {
		if input, err = readText(name); err != nil {
			return run.Request{}, fmt.Errorf("read --input: %w", err)
		}
	}
	if !json.Valid([]byte(input)) {
		return run.Request{}, fmt.Errorf("--input is not JSON: %s", c.Input)
	}
	requirements := ""
	if c.Requirements != "" {
		if requirements, err = readText(string(c.Requirements)); err != nil {
			return run.Request{}, fmt.Errorf("read --requirements: %w", err)
		}
	}
	return run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/scriptfleet/run", ID: uuid.NewString(), Tenant: c.Tenant,
		Data: run.RequestData{
			Action: c.File + c.ScriptRef, Runtime: c.Runtime, Script: script, ScriptRef: c.ScriptRef, Caller: c.Caller, Requirements: requirements,
			Input: json.RawMessage(input), TimeoutSeconds: seconds(c.Timeout), Credential: c.Credential,
		},
	}, nil
}

// unattributable is the reason why the fleet could not answer a request, or
// nil.
func unattributable(request run.Request) *run.Error {
	if request.Attributable() {
		return nil
	}
	rules, err := run.NewPolicy(run.PolicyConfig{})
	if err != nil {
		return &run.Error{Type: "InvalidRequest", Message: err.Error()}
	}
	body, err := request.Encode()
	if err != nil {
		return &run.Error{Type: "InvalidRequest", Message: err.Error()}
	}
	_, refused := rules.Decode(body, time.Now())
	return refused
}

// seconds is *n, or 0 for the fleet's default.
func seconds(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// execute sends the request to the configured fleet, or to an embedded one. With
// Lock it returns the packages of the script's layer too.
func (c *runCommand) execute(ctx context.Context, request run.Request, roles embedded.Roles, log *zap.Logger, line *progress.Line) (res run.Result, packages []run.Package, err error) {
	defer func() { err = interrupted(ctx, err) }()
	fleet, stop, err := connect(ctx, embedded.Options{
		Fleet: c.Fleet, Worker: c.Worker, Roles: roles, Tenant: c.Tenant, Log: log,
		Process:  config.Process{PollWait: 200 * time.Millisecond, Drain: time.Second},
		Progress: func(_ run.EnvHash, said string) { line.Say("building: %s", said) },
	}, line)
	if err != nil {
		return run.Result{}, nil, err
	}
	defer stop()
	if fleet.Traces == nil {
		defer fleet.Trace(ctx, "scriptfleet")()
	}
	cl, err := embedded.Client(ctx, fleet)
	if err != nil {
		return run.Result{}, nil, err
	}
	traced, end := fleet.Traces.Send(ctx, request.Tenant)
	res, err = send(traced, fleet, cl, request, line)
	end(res, err)
	if err == nil && c.Lock && res.Data.Status == run.Succeeded {
		packages, err = locked(ctx, fleet, res)
	}
	return res, packages, err
}

// locked returns the packages of the layer that a run had, from the record of
// its build.
func locked(ctx context.Context, fleet *wire.Fleet, res run.Result) ([]run.Package, error) {
	env := res.Data.Function.EnvHash
	if env == "" {
		return nil, nil // no requirements, so nothing to lock
	}
	if fleet.Ledger == nil {
		return nil, wire.ErrNoRedis
	}
	rec, ok, err := builds.EnvRecord(ctx, fleet.Records(), env)
	if err != nil {
		return nil, fmt.Errorf("look up what was resolved: %w", err)
	}
	if !ok || len(rec.Packages) == 0 {
		return nil, fmt.Errorf("the fleet no longer knows what it resolved for env %s: the layer is there, and the record of its build is not; run the script against an embedded stack (without AWS_ENDPOINT_URL and REDIS_URL), which resolves anew", env)
	}
	return rec.Packages, nil
}

// send enqueues the request and waits for its result.
func send(ctx context.Context, fleet *wire.Fleet, cl *client.Client, request run.Request, line *progress.Line) (run.Result, error) {
	cl.PollWait = time.Second // the longest time that Ctrl-C waits
	if err := cl.Send(ctx, request)[0]; err != nil {
		return run.Result{}, err
	}
	key := run.KeyOf(request.Tenant, request.Source, request.ID)
	if fleet.Ledger != nil {
		watching, stopWatching := context.WithCancel(ctx)
		defer stopWatching()
		go watch(watching, fleet, key, line)
	}
	return await(ctx, cl, key)
}

// watch shows on the progress line where the run is.
func watch(ctx context.Context, f *wire.Fleet, key run.Key, line *progress.Line) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r, err := f.Ledger.Lookup(ctx, key)
		switch {
		case err != nil:
		case r.Waiting != "":
			line.Say("waiting for the %s", r.Waiting)
		case r.State == ledger.Invoking:
			line.Say("running")
		default:
			line.Say("%s", strings.TrimSpace("waiting "+string(r.State)))
		}
	}
}

// await receives results until the run's own has come.
func await(ctx context.Context, cl *client.Client, key run.Key) (run.Result, error) {
	consuming, stop := context.WithCancel(ctx)
	defer stop()
	var res *run.Result
	err := cl.Consume(consuming, func(_ context.Context, r client.Received) error {
		if r.ID != key {
			return client.ErrNotMine
		}
		res = &r.Result
		stop()
		return nil
	})
	switch {
	case res != nil:
		return *res, nil
	case err != nil:
		return run.Result{}, err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return run.Result{}, fmt.Errorf("%w before run %s had its result", errInterrupted, key)
	}
	return run.Result{}, fmt.Errorf("no result for run %s: %w; is a worker running? scriptfleet explain %s tells where it is", key, context.Cause(ctx), key)
}

// print prints the output, or the event, on stdout and everything else on
// stderr. Its error has the exit code of the status.
func (c *runCommand) print(res run.Result) error {
	if c.Event || c.JSON {
		body, err := res.Encode()
		if err != nil {
			return exitError{exitOther, err}
		}
		if err := printWhole(string(body) + "\n"); err != nil {
			return exitError{exitOther, err}
		}
	} else {
		printLogs(os.Stderr, res)
		if res.Data.Warning != "" {
			fmt.Fprintln(os.Stderr, "scriptfleet: "+res.Data.Warning)
		}
		if res.Data.Status == run.Succeeded {
			if err := printWhole(string(res.Data.Output) + "\n"); err != nil {
				return exitError{exitOther, err}
			}
		}
	}
	code := exitCode(res.Data.Status)
	if code == 0 {
		return nil
	}
	if c.Event || c.JSON || res.Data.Error == nil {
		return exitError{code, nil}
	}
	return exitError{code, errors.New(sentence(res))}
}

func exitCode(s run.Status) int {
	if code, ok := exitCodes[s]; ok {
		return code
	}
	return exitOther
}

func printLogs(w *os.File, res run.Result) {
	for _, text := range []string{res.Data.Logs.Stdout, res.Data.Logs.Stderr} {
		if text != "" {
			fmt.Fprintln(w, whole(w, strings.TrimSuffix(text, "\n")))
		}
	}
	if res.Data.Logs.Truncated {
		fmt.Fprintln(w, "[what was printed beyond this was cut off]")
	}
}

// sentence is the error's message, with its owner and place.
func sentence(res run.Result) string {
	e := res.Data.Error
	text := fmt.Sprintf("%s: %s: %s", res.Data.Status, e.Type, e.Message)
	if e.Owner != run.OwnerAuthor {
		text += fmt.Sprintf(" (for the %s to mend)", e.Owner)
	}
	if e.Traceback != "" {
		text += "\n" + strings.TrimRight(e.Traceback, "\n")
	}
	if log := res.Data.Build.Log; log != nil && res.Data.Status == run.BuildFailed && *log != "" {
		text += "\n" + strings.TrimRight(*log, "\n")
	}
	return text
}
