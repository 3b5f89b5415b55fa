package console

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// keptSamples are those of one hour, at a sample each 10 s.
const keptSamples = 360

// latestOfSample is how many runs a sample looks at: of a fleet that ends more
// between two samples, its waits are those of the last ones.
const latestOfSample = 500

// sample is a look at the fleet.
type sample struct {
	at       time.Time
	status   look.Status
	backlogs map[string]int // of all tenants with open runs
	tenants  map[string]int // of the latest runs, by tenant

	// Since the sample before; measured is false in the first one.
	measured    bool
	in, out     float64 // runs accepted and results, a second
	ended       int     // runs that the waits are of
	stages      []stageWait
	builds      int // that were led
	buildsSaved int // runs that waited for the build of another, or found it
	failed      map[run.Status]int64
}

// stageWait is how long runs were in a stage.
type stageWait struct {
	Name          string
	P50, P95, Max int64
	Part          float64 // of the runs' whole time, 0 to 1
}

// samples looks at the fleet from time to time, for all readers together.
type samples struct {
	fleet *wire.Fleet
	every time.Duration
	log   *zap.Logger

	looking sync.Mutex // held for a look
	mu      sync.Mutex
	all     []*sample // the oldest first
}

func newSamples(fleet *wire.Fleet, every time.Duration, log *zap.Logger) *samples {
	return &samples{fleet: fleet, every: every, log: log}
}

// run takes samples until ctx ends.
func (s *samples) run(ctx context.Context) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	told := ""
	for {
		_, err := s.take(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			told = ""
		case err.Error() != told:
			told = err.Error()
			s.log.Warn("console: the fleet does not answer; trying again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// last is the newest sample, or a new one if there is none of late.
func (s *samples) last(ctx context.Context) (*sample, error) {
	if newest := s.newest(); newest != nil && time.Since(newest.at) < 3*s.every {
		return newest, nil
	}
	return s.take(ctx)
}

func (s *samples) newest() *sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return nil
	}
	return s.all[len(s.all)-1]
}

// hour are the samples of the last hour.
func (s *samples) hour() []*sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// take looks at the fleet, unless somebody else has just done so.
func (s *samples) take(ctx context.Context) (*sample, error) {
	asked := time.Now()
	s.looking.Lock()
	defer s.looking.Unlock()
	before := s.newest()
	if before != nil && before.at.After(asked) {
		return before, nil
	}
	status, err := look.ReadStatus(ctx, s.fleet)
	if err != nil {
		return nil, err
	}
	latest, err := s.fleet.Ledger.Latest(ctx, false, latestOfSample)
	if err != nil {
		return nil, err
	}
	taken := newSample(status, latest, before)
	s.mu.Lock()
	defer s.mu.Unlock()
	if before != nil && len(s.all) > 0 {
		before.backlogs, before.tenants = nil, nil // only the newest one's are read
	}
	s.all = append(s.all, taken)
	s.all = s.all[max(0, len(s.all)-keptSamples):]
	return taken, nil
}

func newSample(status look.Status, latest []ledger.Summary, before *sample) *sample {
	s := &sample{at: time.Now(), status: status, backlogs: status.ByTenant, tenants: map[string]int{}, failed: map[run.Status]int64{}}
	s.status.ByTenant = nil
	since := s.at.Add(-time.Hour)
	if before != nil {
		since = before.at
		if passed := s.at.Sub(before.at).Seconds(); passed > 0 && status.Ended >= before.status.Ended {
			s.measured = true
			s.in = max(0, float64(status.Accepted-before.status.Accepted)/passed)
			s.out = float64(status.Ended-before.status.Ended) / passed
			for status, n := range status.Finished {
				if more := n - before.status.Finished[status]; more > 0 {
					s.failed[status] = more
				}
			}
		}
	}
	for _, l := range latest {
		s.tenants[l.Tenant]++
	}
	ended := slices.DeleteFunc(latest, func(l ledger.Summary) bool { return l.At.Before(since) })
	s.ended = len(ended)
	for _, l := range ended {
		switch l.Build {
		case run.BuildBuilt:
			s.builds++
		case run.BuildNone, run.BuildDidFail:
		default:
			s.buildsSaved++
		}
	}
	s.stages = stagesOfRuns(ended)
	return s
}

var stages = []struct {
	name string
	of   func(run.Timings) int64
}{
	{"intake", func(t run.Timings) int64 { return t.Intake }},
	{"queue", func(t run.Timings) int64 { return t.Queue }},
	{"build wait", func(t run.Timings) int64 { return t.BuildWait }},
	{"build", func(t run.Timings) int64 { return t.Build }},
	{"init", func(t run.Timings) int64 { return t.Init }},
	{"execute", func(t run.Timings) int64 { return t.Execute }},
	{"publish", func(t run.Timings) int64 { return t.Publish }},
	{"total", func(t run.Timings) int64 { return t.Total }},
}

func stagesOfRuns(ended []ledger.Summary) []stageWait {
	if len(ended) == 0 {
		return nil
	}
	var whole int64
	for _, l := range ended {
		whole += l.Timings.Total
	}
	all := make([]stageWait, len(stages))
	for i, stage := range stages {
		times := make([]int64, len(ended))
		var sum int64
		for j, l := range ended {
			times[j] = stage.of(l.Timings)
			sum += times[j]
		}
		slices.Sort(times)
		at := func(q float64) int64 { return times[int(q*float64(len(times)-1))] }
		all[i] = stageWait{Name: stage.name, P50: at(0.5), P95: at(0.95), Max: times[len(times)-1]}
		if whole > 0 {
			all[i].Part = float64(sum) / float64(whole)
		}
	}
	return all
}
