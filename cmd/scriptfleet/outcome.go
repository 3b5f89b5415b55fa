package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/cmd/internal/replay/page"
)

// outcome has the flags for what becomes of a replay's report.
type outcome struct {
	Report    string   `group:"Results and report" type:"path" help:"Write the whole report to this file, as JSON."`
	HTML      string   `name:"html" group:"Results and report" type:"path" help:"Write the report to this file as one HTML page with plots, which needs no other file."`
	Compare   string   `group:"Results and report" type:"existingfile" placeholder:"OLD.json" help:"Report of an older replay, to be compared with."`
	Objective []string `group:"Results and report" sep:"none" placeholder:"'p99<500ms'" help:"Fail if a figure is not below a bound: p50, p90, p99, p99.9, max or mean, of the latency or, as in queue.p99<1s, of a stage. May be repeated."`
	JSON      bool     `name:"json" group:"Results and report" help:"Print the report as JSON instead of as tables."`
}

// Exit codes of a replay, besides exitFailed for all other faults.
const (
	exitLost    = 3
	exitDoubled = 4
	exitMissed  = 5
)

// judgement is an outcome whose flags have been read and whose files are open,
// so that a wrong flag fails before the replay.
type judgement struct {
	json         bool
	old          *replay.Report
	objectives   []replay.Objective
	report, html *outputFile
}

func (o outcome) open() (j judgement, err error) {
	j.json = o.JSON
	for _, text := range o.Objective {
		objective, err := replay.ParseObjective(text)
		if err != nil {
			return j, fmt.Errorf("read --objective: %w", err)
		}
		j.objectives = append(j.objectives, objective)
	}
	if o.Compare != "" {
		old, err := readReport(o.Compare)
		if err != nil {
			return j, fmt.Errorf("read --compare: %w", err)
		}
		j.old = &old
	}
	if j.report, err = openOutput("--report", o.Report); err != nil {
		return j, err
	}
	if j.html, err = openOutput("--html", o.HTML); err != nil {
		return j, errors.Join(err, j.report.discard())
	}
	return j, nil
}

func readReport(name string) (r replay.Report, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return r, err
	}
	err = json.Unmarshal(text, &r)
	if err == nil && r.StartedAt.IsZero() {
		err = errors.New("it has no started_at")
	}
	if err != nil {
		return r, fmt.Errorf("%s is no report of a replay, as --report writes it: %w", name, err)
	}
	return r, nil
}

// end judges the report, prints and writes it, also if one of the files cannot
// be written.
func (j judgement) end(r replay.Report) error {
	if j.old != nil {
		r.Compare(j.old)
	}
	r.Expect(j.objectives)
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	text = append(text, '\n')
	if j.json {
		_, err = os.Stdout.Write(text)
	} else {
		var table strings.Builder
		if err = r.Print(&table); err == nil {
			err = printFitted(table.String())
		}
	}
	var html strings.Builder
	if j.html != nil {
		err = errors.Join(err, page.Write(&html, r, j.old))
	}
	err = errors.Join(err, j.report.write(text), j.html.write([]byte(html.String())))
	if failed := r.Err(); failed != nil {
		return exitError{exitOf(r), errors.Join(err, failed)}
	}
	return err
}

// exitOf is the exit code of a replay that failed.
func exitOf(r replay.Report) int {
	switch {
	case r.Lost.Count > 0:
		return exitLost
	case r.Doubled.Count > 0:
		return exitDoubled
	case r.OnlyMissed():
		return exitMissed
	}
	return exitFailed
}

func (j judgement) discard() error { return errors.Join(j.report.discard(), j.html.discard()) }

// outputFile is a file that is opened before the work, so that a wrong path
// fails before it. Nil means no file.
type outputFile struct {
	*os.File
	flag string
	made bool // it did not exist before
}

func openOutput(flag, name string) (*outputFile, error) {
	if name == "" {
		return nil, nil
	}
	_, err := os.Stat(name)
	made := errors.Is(err, os.ErrNotExist)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", flag, err)
	}
	return &outputFile{f, flag, made}, nil
}

func (f *outputFile) write(text []byte) error {
	if f == nil {
		return nil
	}
	err := f.Truncate(0)
	if errors.Is(err, syscall.EINVAL) {
		err = nil // a pipe has no size
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", f.flag, err)
	}
	return nil
}

// discard restores the previous state of the file.
func (f *outputFile) discard() error {
	switch {
	case f == nil:
		return nil
	case f.made:
		return errors.Join(f.Close(), os.Remove(f.Name()))
	}
	return f.Close()
}
