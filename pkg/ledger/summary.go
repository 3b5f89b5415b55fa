package ledger

import (
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Summary is what the ledger keeps of a finished run for people: no input, no
// output, no log and no message of an error, since these may hold what a script
// was given.
type Summary struct {
	Run    run.Key
	Tenant string
	Source string
	ID     string
	Action string
	Script run.ScriptHash // empty where no function was reached

	At         time.Time // when it was finished, to the millisecond
	Status     run.Status
	ErrorOwner run.Owner // empty where there is no error
	ErrorType  string
	Runtime    string
	Attempt    int
	Worker     string // the process that finished it
	Build      run.BuildOutcome
	ColdStart  bool
	Timings    run.Timings
}

// SummaryOf is the summary of a result that the holder of h finishes.
func SummaryOf(h Hold, res run.Result) Summary {
	process, _, _ := strings.Cut(h.Owner, "/") // after it stands the delivery
	s := Summary{
		Run: h.Entry.Key, Tenant: h.Entry.Tenant, Source: h.Entry.Source, ID: h.Entry.ID, Action: h.Entry.Action,
		At: res.Time.Truncate(time.Millisecond), Status: res.Data.Status, Attempt: res.Data.Attempt, Worker: process,
		Build: res.Data.Build.Outcome, Timings: res.Data.Timings,
	}
	if e := res.Data.Error; e != nil {
		s.ErrorOwner, s.ErrorType = e.Owner, e.Type
	}
	if f := res.Data.Function; f != nil {
		s.Script, s.Runtime, s.ColdStart = f.ScriptHash, f.Runtime, f.ColdStart
	}
	return s
}
