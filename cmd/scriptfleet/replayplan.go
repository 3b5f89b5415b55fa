package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
)

// plan makes the plan from the flags.
func (c *replayCommand) plan() (replay.Plan, error) {
	if err := c.checkSource(); err != nil {
		return nil, err
	}
	if c.Trace != "" {
		return c.tracePlan()
	}
	events, err := c.events()
	if err != nil {
		return nil, err
	}
	switch {
	case c.AtOnce:
		return replay.AtOnce(events), nil
	case c.Speed != nil:
		return replay.Recorded(events, *c.Speed)
	}
	rate := 100.0
	if c.Rate != nil {
		rate = *c.Rate
	}
	if c.Arrivals == "poisson" {
		return replay.Poisson(events, rate, c.Seed), nil
	}
	return replay.Even(events, rate), nil
}

func (c *replayCommand) checkSource() error {
	given := 0
	for _, source := range []string{c.File, c.Generate, c.Trace} {
		if source != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("give one of FILE, --generate and --trace")
	case c.Trace == "" && (c.Durations != "" || c.Minutes != "" || c.Herd || c.Owners > 0):
		return errors.New("--durations, --minutes, --owners and --herd are of --trace")
	case c.Invalid && c.File == "":
		return errors.New("--allow-invalid is of FILE")
	case c.Trace != "" && (c.Rate != nil || c.AtOnce):
		return errors.New("a --trace has its own pace: use --speed and --scale")
	}
	return nil
}

func (c *replayCommand) events() ([]*replay.Event, error) {
	if c.Generate != "" {
		g, err := replay.ParseGenerate(c.Generate)
		if err != nil {
			return nil, fmt.Errorf("read --generate: %w", err)
		}
		g.Set = c.set()
		return g.Events()
	}
	in, err := open(c.File)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	events, err := replay.ReadBatch(in, c.Invalid)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.File, err)
	}
	return events, nil
}

func (c *replayCommand) set() string {
	if c.Set == "" {
		return c.RunLabel
	}
	return c.Set
}

func (c *replayCommand) tracePlan() (_ replay.Plan, err error) {
	o := replay.TraceOptions{Scale: c.Scale, Speed: 1, Herd: c.Herd, Seed: c.Seed, MaxSleep: c.MaxSleep, Owners: c.Owners, Set: c.set()}
	if c.Speed != nil {
		o.Speed = *c.Speed
	}
	if c.Minutes != "" {
		if o.From, o.To, err = replay.ParseMinutes(c.Minutes); err != nil {
			return nil, fmt.Errorf("read --minutes: %w", err)
		}
	}
	var trace *replay.Trace
	err = reading(c.Trace, func(r io.Reader) (err error) {
		trace, err = replay.ReadTrace(r)
		return err
	})
	if err == nil && c.Durations != "" {
		err = reading(c.Durations, trace.ReadDurations)
	}
	if err != nil {
		return nil, err
	}
	return trace.Plan(o)
}

func reading(name string, read func(io.Reader) error) error {
	f, err := open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := read(f); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

func open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(name)
}
