package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Recorder collects requests for a batch, each once. It is not safe for
// concurrent use.
type Recorder struct {
	// Redact replaces the values in the inputs: texts by as many x, numbers by 0.
	// Names, lists, null, true and false stay, so a script finds what it looks for.
	Redact bool

	seen  map[string]bool
	lines []recordedLine
}

type recordedLine struct {
	at   time.Time
	text []byte
}

// Len is the number of requests so far.
func (r *Recorder) Len() int { return len(r.lines) }

// Request adds the body of a request that was sent at a time. It returns false
// if it has the same (tenant, source, id) already, or has them not: a request
// that names no run can only be replayed by hand.
func (r *Recorder) Request(body []byte, sentAt time.Time) (bool, error) {
	e, err := ParseEvent(body)
	if err != nil || e.source == "" || e.id == "" {
		return false, nil //nolint:nilerr // it is left out, and counted by the caller
	}
	if !r.first(e.Tenant, e.source, e.id) {
		return false, nil
	}
	at := sentAt
	if e.time != nil {
		at = *e.time
	}
	fields, err := parseObject(body)
	if err != nil {
		return false, err
	}
	if e.time == nil { // without one it can't be replayed at its own pace
		fields = append(fields, quoted("time", at.UTC().Format(time.RFC3339Nano)))
	}
	if r.Redact {
		if err := redactInput(fields); err != nil {
			return false, err
		}
	}
	return true, r.add(at, fields.encode())
}

func (r *Recorder) first(names ...string) bool {
	key := strings.Join(names, "\x00")
	if r.seen[key] {
		return false
	}
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[key] = true
	return true
}

func (r *Recorder) add(at time.Time, event []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, event); err != nil { // a line feed would end the line
		return fmt.Errorf("write a request as one line: %w", err)
	}
	r.lines = append(r.lines, recordedLine{at, line.Bytes()})
	return nil
}

// Results adds a request for each result event in a file, one a line. A result
// has no script, so the request has one that sleeps for as long as the run
// executed, and raises if the run had failed; runs of one script stay runs of one
// script.
func (r *Recorder) Results(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	type slept struct{ longest time.Duration }
	scripts := map[string]*slept{}
	var results []run.Result
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		res, err := run.DecodeResult(lines.Bytes())
		if err != nil {
			return fmt.Errorf("line %d: no result event: %w", number, err)
		}
		if !r.first(res.Tenant, res.Data.Story, res.Subject) {
			continue
		}
		results = append(results, res)
		name := scriptOf(res)
		if scripts[name] == nil {
			scripts[name] = &slept{}
		}
		scripts[name].longest = max(scripts[name].longest, executed(res))
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, res := range results {
		at := res.Time.Add(-ms(res.Data.Timings.Total))
		name := scriptOf(res)
		e, err := generated{
			tenant: res.Tenant, action: or(res.Data.Action, "script"), set: name, sleep: executed(res), longest: scripts[name].longest,
			fails: res.Data.Status == run.Failed,
		}.event()
		if err != nil {
			return fmt.Errorf("result %s: %w", res.ID, err)
		}
		e.time = &at
		if err := r.add(at, e.body(res.Data.Story, res.Subject, "", at)); err != nil {
			return err
		}
	}
	return nil
}

// scriptOf names the script of a result: by its hash, or else by its action.
func scriptOf(res run.Result) string {
	if f := res.Data.Function; f != nil {
		return string(f.ScriptHash)
	}
	return res.Tenant + "/" + res.Data.Action
}

func executed(res run.Result) time.Duration { return min(ms(res.Data.Timings.Execute), maxSleep) }

// Write writes the batch, in the order in which the requests were sent.
func (r *Recorder) Write(out io.Writer) error {
	if len(r.lines) == 0 {
		return errors.New("nothing was recorded")
	}
	slices.SortStableFunc(r.lines, func(a, b recordedLine) int { return a.at.Compare(b.at) })
	w := bufio.NewWriter(out)
	for _, line := range r.lines {
		_, _ = w.Write(line.text)
		_ = w.WriteByte('\n')
	}
	return w.Flush()
}

// redactInput redacts data.input of a request.
func redactInput(fields object) error {
	for i, f := range fields {
		if f.name != "data" {
			continue
		}
		data, err := parseObject(f.raw)
		if err != nil { // the fleet refuses it, and anything in it may be an input
			if fields[i].raw, err = redacted(f.raw); err != nil {
				return fmt.Errorf("redact the data: %w", err)
			}
			continue
		}
		for j, g := range data {
			if g.name == "input" {
				if data[j].raw, err = redacted(g.raw); err != nil {
					return fmt.Errorf("redact an input: %w", err)
				}
			}
		}
		fields[i].raw = data.encode()
	}
	return nil
}

// redacted is a JSON value with other texts and numbers.
func redacted(value json.RawMessage) (json.RawMessage, error) {
	switch first := bytes.TrimSpace(value); {
	case len(first) == 0:
		return value, nil
	case first[0] == '{':
		o, err := parseObject(value)
		if err != nil {
			return nil, err
		}
		for i, f := range o {
			if o[i].raw, err = redacted(f.raw); err != nil {
				return nil, err
			}
		}
		return o.encode(), nil
	case first[0] == '[':
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, err
		}
		for i := range list {
			var err error
			if list[i], err = redacted(list[i]); err != nil {
				return nil, err
			}
		}
		return json.Marshal(list)
	case first[0] == '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, err
		}
		return quote(strings.Repeat("x", utf8.RuneCountInString(text))), nil
	case first[0] == 't', first[0] == 'f', first[0] == 'n':
		return value, nil
	}
	return json.RawMessage("0"), nil
}
