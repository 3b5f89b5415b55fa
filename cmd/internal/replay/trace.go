package replay

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Trace is a recorded day in the format of the Azure Functions trace of 2019:
// each function's invocations per minute, and percentiles of its durations. An
// owner becomes a tenant; a function becomes a script that sleeps for the
// function's duration.
type Trace struct {
	minutes   []int // the names of the columns
	functions []traced
}

type traced struct {
	owner, app, function string
	counts               []int
	sleeps               []time.Duration // at quantiles; none if unknown
}

// TraceOptions select a part of a trace, and how it is replayed.
type TraceOptions struct {
	From, To int     // minutes by the trace's names, without To; both 0: all
	Scale    float64 // factor of the counts
	Speed    float64 // factor of the clock; sleeps keep their length
	Herd     bool    // all requests of a minute in its first second
	Seed     uint64
	MaxSleep time.Duration
	Owners   int    // so many of the trace's owners, drawn by the seed; 0: all
	Set      string // set of scripts: see [Generate]
}

// ReadTrace reads invocations per minute: the columns HashOwner, HashApp,
// HashFunction and Trigger, then one per minute.
func ReadTrace(r io.Reader) (*Trace, error) {
	lines := csv.NewReader(r)
	lines.ReuseRecord = true
	header, err := lines.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	t := &Trace{}
	const fixed = 4
	for _, name := range header[min(fixed, len(header)):] {
		minute, err := strconv.Atoi(name)
		if err != nil {
			return nil, fmt.Errorf("column %q is no minute", name)
		}
		t.minutes = append(t.minutes, minute)
	}
	if header[0] != "HashOwner" || len(t.minutes) == 0 {
		return nil, errors.New("the header is not HashOwner,HashApp,HashFunction,Trigger and minutes")
	}
	for {
		record, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		f := traced{owner: strings.Clone(record[0]), app: strings.Clone(record[1]), function: strings.Clone(record[2])}
		for i, value := range record[fixed:] {
			count, err := strconv.Atoi(value)
			if err != nil || count < 0 {
				line, _ := lines.FieldPos(fixed + i)
				return nil, fmt.Errorf("line %d: minute %d: %q is no count", line, t.minutes[i], value)
			}
			f.counts = append(f.counts, count)
		}
		t.functions = append(t.functions, f)
	}
}

// quantiles are the columns with the durations for sleeps, each with the share
// of runs that are at most that long.
var quantiles = []quantile{
	{"percentile_Average_1", 0.01}, {"percentile_Average_25", 0.25}, {"percentile_Average_50", 0.5},
	{"percentile_Average_75", 0.75}, {"percentile_Average_99", 0.99}, {"percentile_Average_100", 1},
}

type quantile struct {
	column string
	upTo   float64
}

// ReadDurations adds the functions' durations. A function without durations
// does not sleep.
func (t *Trace) ReadDurations(r io.Reader) error {
	lines := csv.NewReader(r)
	header, err := lines.Read()
	if err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	columns := make([]int, len(quantiles))
	for i, q := range quantiles {
		if columns[i] = slices.Index(header, q.column); columns[i] < 0 {
			return fmt.Errorf("the header has no column %s", q.column)
		}
	}
	durations := map[[3]string][]time.Duration{}
	for {
		record, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		sleeps := make([]time.Duration, len(columns))
		for i, column := range columns {
			value, err := strconv.ParseFloat(record[column], 64)
			if err != nil {
				line, _ := lines.FieldPos(column)
				return fmt.Errorf("line %d: %s is %q: no duration", line, quantiles[i].column, record[column])
			}
			sleeps[i] = seconds(value / 1000)
		}
		durations[[3]string{record[0], record[1], record[2]}] = sleeps
	}
	for i, f := range t.functions {
		t.functions[i].sleeps = durations[[3]string{f.owner, f.app, f.function}]
	}
	return nil
}

// Plan distributes each minute's invocations over the minute, each at a random
// time of its own: a Poisson process with a known count. The same options give
// the same plan.
func (t *Trace) Plan(o TraceOptions) (Plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.From == 0 && o.To == 0 {
		o.From, o.To = t.minutes[0], t.minutes[len(t.minutes)-1]+1
	}
	if o.From >= o.To || o.From > t.minutes[len(t.minutes)-1] || o.To <= t.minutes[0] {
		return nil, fmt.Errorf("minutes %d:%d are none of the trace's %d:%d", o.From, o.To, t.minutes[0], t.minutes[len(t.minutes)-1]+1)
	}
	random := source(o.Seed)
	owners, err := t.drawOwners(o)
	if err != nil {
		return nil, err
	}
	var plan Plan
	for _, f := range t.functions {
		if !owners[f.owner] {
			continue
		}
		events, err := f.events(o)
		if err != nil {
			return nil, err
		}
		for i, minute := range t.minutes {
			if minute < o.From || minute >= o.To {
				continue
			}
			// A fractional count is one invocation with that probability.
			for range int(float64(f.counts[i])*o.Scale + random.Float64()) {
				at := time.Duration(minute-o.From)*time.Minute + spread(random.Float64(), o.Herd)
				plan = append(plan, Send{At: time.Duration(float64(at) / o.Speed), Event: drawn(events, random.Float64())})
			}
		}
	}
	if len(plan) == 0 {
		return nil, fmt.Errorf("minutes %d:%d at a scale of %g have no invocation", o.From, o.To, o.Scale)
	}
	plan.sort()
	for i := range plan {
		plan[i].Seq = i
	}
	return plan, nil
}

// drawOwners returns the owners whose functions are replayed.
func (t *Trace) drawOwners(o TraceOptions) (map[string]bool, error) {
	drawn := map[string]bool{}
	var all []string
	for _, f := range t.functions {
		if !drawn[f.owner] {
			drawn[f.owner] = true
			all = append(all, f.owner)
		}
	}
	switch {
	case o.Owners == 0:
		return drawn, nil
	case o.Owners > len(all):
		return nil, fmt.Errorf("%d owners are more than the trace's %d", o.Owners, len(all))
	}
	clear(drawn)
	for _, i := range source(o.Seed).Perm(len(all))[:o.Owners] {
		drawn[all[i]] = true
	}
	return drawn, nil
}

func spread(u float64, herd bool) time.Duration {
	if herd {
		return seconds(u)
	}
	return time.Duration(u * float64(time.Minute))
}

// events are the runs of one function, one for each of its durations.
func (f traced) events(o TraceOptions) ([]*Event, error) {
	sleeps := f.sleeps
	if sleeps == nil {
		sleeps = []time.Duration{0}
	}
	longest := min(slices.Max(sleeps), o.MaxSleep)
	events := make([]*Event, len(sleeps))
	for i, sleep := range sleeps {
		var err error
		events[i], err = generated{
			tenant: "owner-" + short(f.owner), action: "function-" + short(f.owner, f.app, f.function), set: o.Set,
			sleep: min(max(sleep, 0), o.MaxSleep), longest: longest,
		}.event()
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}

// drawn is the event of the quantile that contains u.
func drawn(events []*Event, u float64) *Event {
	if len(events) == 1 {
		return events[0]
	}
	i := slices.IndexFunc(quantiles, func(q quantile) bool { return u <= q.upTo })
	return events[max(i, 0)]
}

// short derives a valid tenant's name from names that may be longer.
func short(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "/")))
	return hex.EncodeToString(sum[:6])
}

// ParseMinutes parses A:B.
func ParseMinutes(s string) (from, to int, err error) {
	if _, err := fmt.Sscanf(s, "%d:%d", &from, &to); err != nil || from >= to || fmt.Sprintf("%d:%d", from, to) != s {
		return 0, 0, fmt.Errorf("%q is no range of minutes: use the form 540:545", s)
	}
	return from, to, nil
}

// check bounds the factors.
func (o TraceOptions) check() error {
	for _, x := range []float64{o.Scale, o.Speed} {
		if !(x > 0) || math.IsInf(x, 0) {
			return fmt.Errorf("a scale of %g at a speed of %g: use more than 0", o.Scale, o.Speed)
		}
	}
	return nil
}
