package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/term"

	"github.com/scriptfleet/scriptfleet/cmd/internal/embedded"
	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
)

type replayCommand struct {
	config.Fleet
	config.Worker

	File     string `arg:"" optional:"" help:"Requests, one JSON event a line; - reads them from standard input."`
	Generate string `group:"What is sent" placeholder:"tenants=5,scripts=8,requests=200" help:"Make the requests up instead; also takes sleep=100ms, requirements=N and failing=N (so many of the scripts)."`
	Set      string `name:"script-set" group:"What is sent" help:"Made-up scripts of one set are the same in every replay; by default each replay has new ones."`
	RunLabel string `group:"What is sent" help:"Begins the ids of all runs; must be new to the fleet. Random by default."`
	KeepIDs  bool   `name:"keep-ids" group:"What is sent" help:"Leave requests the source and the id that they have: runs that the fleet has answered are reported as answered before."`
	Invalid  bool   `name:"allow-invalid" group:"What is sent" help:"Send a line that is no request as it is, to test rejections."`

	Trace     string        `group:"A recorded day" type:"existingfile" help:"Invocations per minute of a trace in the Azure Functions format: owners become tenants, functions scripts that sleep."`
	Durations string        `group:"A recorded day" type:"existingfile" help:"Percentiles of the functions' durations in ms, of the same trace."`
	Minutes   string        `group:"A recorded day" placeholder:"A:B" help:"Minutes of the trace as it names them, B excluded; all by default."`
	Scale     float64       `group:"A recorded day" default:"1" min:"0.0001" max:"10000" help:"What the trace's counts are multiplied by."`
	Herd      bool          `group:"A recorded day" help:"Send everything in the first second of its minute."`
	Owners    int           `group:"A recorded day" default:"0" min:"0" max:"1000000" help:"Only so many of the trace's owners, drawn by the seed; 0 for all."`
	MaxSleep  time.Duration `group:"A recorded day" default:"5s" min:"0s" max:"15m" help:"Longest that a function of the trace sleeps."`

	Rate     *float64 `group:"When it is sent" xor:"pace" min:"0.001" max:"100000" help:"Requests per second; 100 by default."`
	Speed    *float64 `group:"When it is sent" xor:"pace" min:"0.001" max:"100000" help:"Keep the recorded times (of the events, or the minutes of the trace), this many times as fast."`
	AtOnce   bool     `group:"When it is sent" xor:"pace" help:"Send everything at once."`
	Arrivals string   `group:"When it is sent" default:"even" enum:"even,poisson" help:"even or poisson: how requests at a rate are spaced."`
	Seed     uint64   `group:"When it is sent" default:"1" min:"0" max:"18446744073709551615" help:"Seed of all random choices."`
	Senders  int      `group:"When it is sent" default:"32" min:"1" max:"10000" help:"Concurrent send calls, of up to ten requests each."`

	Wait    time.Duration `group:"Results and report" default:"5m" min:"0s" max:"1d" help:"How long to wait for results after the last send."`
	Linger  time.Duration `group:"Results and report" default:"2s" min:"0s" max:"1h" help:"How long to look for doubled results after the last one."`
	Pollers int           `group:"Results and report" default:"8" min:"1" max:"1000" help:"Concurrent polls for results."`
	outcome
	ExpectBuilds *int   `group:"Results and report" min:"0" max:"1000000" help:"Fail unless exactly this many builds were made."`
	LogLevel     string `group:"Results and report" default:"error" enum:"debug,info,warn,error" help:"Log level of the embedded stack, on stderr."`

	labelled bool // --run-label was given
}

// Help is shown below the flags.
func (replayCommand) Help() string {
	return `Sends requests open-loop: when each is due is fixed before the first is sent, and latency counts from then. Every request gets an id of this replay's own. Where AWS_ENDPOINT_URL or REDIS_URL is set, the fleet there is sent to; else an embedded one.

Exits 0 if every run got one result, every request could be sent and each objective is met. Otherwise it says what was not so, and exits 3 if runs were lost, else 4 if one got two results that differ, else 1 for any other fault, else 5 for an objective.

Examples:

  scriptfleet replay requests.jsonl --rate 200 --report report.json
  scriptfleet replay requests.jsonl --speed 10                     # ten times as fast as recorded
  scriptfleet replay --generate tenants=20,scripts=40,requests=2000 --rate 200 --expect-builds 40
  scriptfleet replay --generate tenants=1,scripts=1,requests=500 --at-once --expect-builds 1
  scriptfleet replay requests.jsonl --rate 200 --compare report.json --objective 'p99<500ms' --html page.html
  scriptfleet replay --trace invocations_per_minute.csv --durations durations_ms.csv --minutes 540:545 --owners 50`
}

func (c *replayCommand) Run(ctx context.Context) error {
	c.labelled = c.RunLabel != ""
	if !c.labelled {
		c.RunLabel = strings.ToLower(rand.Text()[:8])
	}
	plan, err := c.plan()
	if err != nil {
		return exitError{exitUsage, err}
	}
	judge, err := c.open()
	if err != nil {
		return exitError{exitUsage, err}
	}
	log, err := telemetry.NewLogger(c.LogLevel, "auto")
	if err != nil {
		return exitError{exitUsage, err}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	line := progress.Stderr()
	report, err := c.replay(ctx, plan, log, line)
	line.Stop()
	if err != nil {
		return errors.Join(interrupted(ctx, err), judge.discard())
	}
	if c.ExpectBuilds != nil {
		report.ExpectBuilds(*c.ExpectBuilds)
	}
	return judge.end(report)
}

// replay performs the plan on the configured fleet, or on an embedded one.
func (c *replayCommand) replay(ctx context.Context, plan replay.Plan, log *zap.Logger, line *progress.Line) (replay.Report, error) {
	fleet, stop, err := connect(ctx, embedded.Options{
		Fleet: c.Fleet, Worker: c.Worker, Log: log,
		Process:    config.Process{PollWait: time.Second, Drain: 5 * time.Second},
		Dispatcher: config.Dispatcher{Pollers: 4},
	}, line)
	if err != nil {
		return replay.Report{}, err
	}
	defer stop()
	cl, err := embedded.Client(ctx, fleet)
	if err != nil {
		return replay.Report{}, err
	}
	cl.Pollers, cl.PollWait = c.Pollers, time.Second
	deps := replay.Deps{Requests: cl.Requests, Results: cl}
	if c.KeepIDs || c.Invalid || c.labelled {
		deps.Ledger = fleet.Ledger
	}
	r := replay.New(replay.Config{
		Naming: c.naming(), Senders: c.Senders, Wait: c.Wait, Linger: c.Linger,
	}, deps, plan)
	line.Print(os.Stderr, "Replay %s sends %d requests within %s.", c.RunLabel, len(plan), plan.Length().Round(time.Second))
	showing, stopShowing := context.WithCancel(ctx)
	defer stopShowing()
	go showProgress(showing, r, line)
	return r.Run(ctx), nil
}

func (c *replayCommand) naming() replay.Naming {
	return replay.Naming{Label: c.RunLabel, Keep: c.KeepIDs}
}

// showProgress shows the progress: continuously on a terminal, and otherwise as
// a line now and then.
func showProgress(ctx context.Context, r *replay.Replay, line *progress.Line) {
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	every := 10 * time.Second
	if terminal {
		every = 500 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if terminal {
			line.Say("%s", r.Progress())
		} else {
			line.Print(os.Stderr, "%s", r.Progress())
		}
	}
}
