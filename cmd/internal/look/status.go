package look

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/shape"
)

// Status is a fleet on one screen.
type Status struct {
	At        time.Time            `json:"at"`
	Prefix    string               `json:"prefix"`
	Where     string               `json:"where"`
	Processes []Process            `json:"processes"`
	Queues    []Queue              `json:"queues"`
	Accepted  int64                `json:"accepted" about:"Runs since the ledger was last empty."`
	Finished  map[run.Status]int64 `json:"finished"`
	Open      int64                `json:"open" about:"Runs that are accepted and not finished."`
	Oldest    *OpenRun             `json:"oldest,omitempty" about:"The oldest open run."`
	Rate      *float64             `json:"results_per_second,omitempty" about:"Since the last look, with --watch."`
	Backlogs  []Backlog            `json:"backlogs" about:"The tenants with the most open runs, five at most."`
	Tenants   int                  `json:"tenants_with_open_runs"`
	// Differences are settings of processes that contradict each other.
	Differences []string `json:"differences,omitempty" about:"Settings of processes that contradict each other."`

	Ended    int64          `json:"-"` // the sum of Finished
	ByTenant map[string]int `json:"-"` // the open runs of all tenants
}

// Process is a process of the fleet.
type Process struct {
	Role       string    `json:"role" about:"dispatcher or worker"`
	Name       string    `json:"name"`
	Release    string    `json:"release"`
	Handler    string    `json:"handler" about:"Version of the handler in its functions."`
	Partitions int       `json:"partitions"`
	Turns      int       `json:"turns,omitempty" about:"Runs that it executes at a time."`
	Started    time.Time `json:"started,omitzero"`
	Ready      bool      `json:"ready"`
	Reason     string    `json:"reason,omitempty" about:"Why it takes no work."`
}

// Queue is a queue and its depth.
type Queue struct {
	Queue    string `json:"queue"`
	Visible  int    `json:"visible"`
	InFlight int    `json:"in_flight"`
	Delayed  int    `json:"delayed"`
}

// Backlog is a tenant with open runs.
type Backlog struct {
	Tenant string `json:"tenant"`
	Open   int    `json:"open"`
}

// OpenRun is a run that is accepted and not finished.
type OpenRun struct {
	Run    run.Key   `json:"run"`
	Tenant string    `json:"tenant"`
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
}

// OldestRun is the oldest open run, or nil.
func OldestRun(ctx context.Context, fleet *wire.Fleet) (*OpenRun, error) {
	oldest, err := fleet.Ledger.Open(ctx, 1)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	if len(oldest) == 0 {
		return nil, nil
	}
	r := oldest[0]
	return &OpenRun{r.Entry.Key, r.Entry.Tenant, StateName(r.State), r.Since}, nil
}

// StateName is the name of a run's state.
func StateName(s ledger.State) string {
	if s == ledger.Unknown {
		return "unknown"
	}
	return string(s)
}

// ReadStatus reads the status of a fleet.
func ReadStatus(ctx context.Context, fleet *wire.Fleet) (s Status, err error) {
	s = Status{At: time.Now().UTC().Truncate(time.Millisecond), Prefix: fleet.Settings.Prefix, Where: fleet.Where(), Processes: []Process{}, Backlogs: []Backlog{}}
	books, err := fleet.Ledger.Books(ctx)
	if err != nil {
		return s, fmt.Errorf("read the ledger: %w", err)
	}
	s.Accepted, s.Finished, s.Open = books.Accepted, books.Finished, books.Open
	for _, n := range books.Finished {
		s.Ended += n
	}
	if s.Oldest, err = OldestRun(ctx, fleet); err != nil {
		return s, err
	}
	backlogs, err := fleet.Ledger.AllBacklogs(ctx)
	if err != nil {
		return s, err
	}
	s.Tenants, s.ByTenant = len(backlogs), backlogs
	for _, tenant := range slices.Sorted(maps.Keys(backlogs)) {
		s.Backlogs = append(s.Backlogs, Backlog{tenant, backlogs[tenant]})
	}
	slices.SortStableFunc(s.Backlogs, func(a, b Backlog) int { return cmp.Compare(b.Open, a.Open) })
	s.Backlogs = s.Backlogs[:min(len(s.Backlogs), 5)]
	if err := s.readProcesses(ctx, fleet); err != nil {
		return s, err
	}
	queues, err := Queues(ctx, fleet)
	for _, q := range queues {
		s.Queues = append(s.Queues, Queue{q.Name, q.Visible, q.InFlight, q.Delayed})
	}
	return s, err
}

func (s *Status) readProcesses(ctx context.Context, fleet *wire.Fleet) error {
	processes, err := fleet.Shape().Processes(ctx)
	if err != nil {
		return err
	}
	for _, p := range processes {
		shown := Process{
			Role: string(p.Role), Name: p.Name, Release: p.Release, Handler: p.Version, Partitions: p.Partitions, Turns: p.Turns,
			Ready: p.NotReady == "", Reason: p.NotReady,
		}
		if p.Started > 0 {
			shown.Started = time.Unix(p.Started, 0).UTC()
		}
		s.Processes = append(s.Processes, shown)
	}
	slices.SortFunc(s.Processes, func(a, b Process) int {
		return cmp.Or(strings.Compare(a.Role, b.Role), strings.Compare(a.Name, b.Name))
	})
	differ, err := Differences(ctx, fleet)
	for _, d := range differ {
		if !d.Passing {
			s.Differences = append(s.Differences, d.Text)
		}
	}
	return err
}

// Err is an error if the fleet does not work as a whole.
func (s *Status) Err() error {
	ready := map[string]bool{}
	for _, p := range s.Processes {
		ready[p.Role] = ready[p.Role] || p.Ready
	}
	switch {
	case !ready["dispatcher"]:
		return fmt.Errorf("no dispatcher of %s takes work: start one, or look at /readyz of those that run", s.Prefix)
	case !ready["worker"]:
		return fmt.Errorf("no worker of %s takes work: start one, or look at /readyz of those that run", s.Prefix)
	case len(s.Differences) > 0:
		return fmt.Errorf("settings differ:\n  %s", strings.Join(s.Differences, "\n  "))
	}
	return nil
}

// Differences are contradictions between the settings of the fleet's processes,
// or between theirs and this command's.
func Differences(ctx context.Context, fleet *wire.Fleet) ([]shape.Difference, error) {
	all, err := fleet.Shape().Processes(ctx)
	if err != nil {
		return nil, err
	}
	return append(shape.Differences(fleet.Process(shape.Command, ""), all), shape.Within(all)...), nil
}
