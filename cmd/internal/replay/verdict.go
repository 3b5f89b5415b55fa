package replay

import (
	"errors"
	"fmt"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// ExpectBuilds makes any other number of builds a failure.
func (r *Report) ExpectBuilds(n int) {
	r.Builds.Expected = &n
	r.judge()
}

// Err is an error that lists what went wrong, and where to look next, or nil.
func (r *Report) Err() error {
	if r.OK {
		return nil
	}
	return errors.New(r.Failure)
}

func (r *Report) judge() {
	var faults []string
	add := func(n int, format string, args ...any) {
		if n > 0 {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	add(r.Lost.Count, "%s of %s runs got no result%s", grouped(r.Lost.Count), grouped(r.Runs), first(r.Lost.Runs))
	add(r.Doubled.Count, "%s got two that differ%s", grouped(r.Doubled.Count), first(r.Doubled.Runs))
	add(r.SendErrors, "%s requests could not be sent (%s)", grouped(r.SendErrors), r.SendError)
	add(r.Unsent, "%s requests were not sent", grouped(r.Unsent))
	if r.Interrupted {
		add(1, "the replay was interrupted while %s runs were in flight", grouped(r.InFlight.Count))
	}
	if want := r.Builds.Expected; want != nil && *want != r.Builds.Built {
		add(1, "%d builds were made, not %d", r.Builds.Built, *want)
	}
	for _, o := range r.Objectives {
		if !o.Met {
			add(1, "%s", o)
		}
	}
	r.OK = len(faults) == 0
	r.Failure = strings.Join(faults, "; ")
	if hint := append(list(r.Lost.Runs), r.Doubled.Runs...); len(hint) > 0 {
		r.Failure += fmt.Sprintf("; scriptfleet explain %s tells where a run is", hint[0])
	}
	if r.Lost.Count > 0 && r.ReceiveErrors > 0 {
		r.Failure += fmt.Sprintf("; results could not be received %d times, at last: %s", r.ReceiveErrors, r.ReceiveError)
	}
}

// first is a list of the first few.
func first(keys []run.Key) string {
	var s strings.Builder
	for i, key := range keys {
		if i == 3 {
			s.WriteString(", …")
			break
		}
		s.WriteString([]string{": ", ", "}[min(i, 1)] + string(key))
	}
	return s.String()
}
