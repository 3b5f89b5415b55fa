package look

import (
	"context"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Run is a recent run.
type Run struct {
	Run        run.Key          `json:"run" about:"The id of its result."`
	Tenant     string           `json:"tenant"`
	Source     string           `json:"source"`
	ID         string           `json:"id" about:"The id of its request."`
	Action     string           `json:"action"`
	EndedAt    time.Time        `json:"ended_at"`
	Status     run.Status       `json:"status"`
	ErrorOwner run.Owner        `json:"error_owner,omitempty" about:"Who has to mend the error: author, operator or platform."`
	ErrorType  string           `json:"error_type,omitempty"`
	Script     run.ScriptHash   `json:"script_hash,omitempty"`
	Runtime    string           `json:"runtime,omitempty"`
	Attempt    int              `json:"attempt" about:"1 for the first; 0 where the script was not invoked."`
	Worker     string           `json:"worker,omitempty" about:"The process that wrote the result down."`
	Build      run.BuildOutcome `json:"build,omitempty"`
	ColdStart  bool             `json:"cold_start"`
	Timings    run.Timings      `json:"timings_ms"`
}

// RunOf is the run of a summary.
func RunOf(s ledger.Summary) Run {
	return Run{
		s.Run, s.Tenant, s.Source, s.ID, s.Action, s.At.UTC(), s.Status, s.ErrorOwner, s.ErrorType, s.Script, s.Runtime,
		s.Attempt, s.Worker, s.Build, s.ColdStart, s.Timings,
	}
}

// RecentRuns are the newest runs that are wanted, of one tenant or of all.
func RecentRuns(ctx context.Context, l ledger.Ledger, tenant string, limit int, wants func(ledger.Summary) bool) ([]ledger.Summary, error) {
	tenants := []string{tenant}
	if tenant == "" {
		var err error
		if tenants, err = l.RecentTenants(ctx); err != nil {
			return nil, err
		}
	}
	var found []ledger.Summary
	for _, t := range tenants {
		recent, err := l.Recent(ctx, t)
		if err != nil {
			return nil, err
		}
		for _, s := range recent {
			if wants(s) {
				found = append(found, s)
			}
		}
		slices.SortStableFunc(found, func(a, b ledger.Summary) int { return b.At.Compare(a.At) })
		found = found[:min(len(found), limit)]
	}
	return found, nil
}
