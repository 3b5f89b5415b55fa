package chaos

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// promise is a column of the table. check returns the text of the cell.
type promise struct {
	name  string
	check func(*testing.T, fault, *fleet) string
}

var promises = []promise{
	{"accepted = results", nothingIsLost},
	{"one result a run", oneResult},
	{"one build a script", oneBuild},
	{"the right code", rightCode},
	{"no silent re-run", noSilentRerun},
	{"nothing left", nothingLeft},
}

// maxAttempts is the worker's default limit of attempts for one run.
const maxAttempts = 3

func nothingIsLost(t *testing.T, _ fault, f *fleet) string {
	if got, want := len(f.ended), len(f.sent); got != want {
		t.Errorf("%d results for %d accepted runs", got, want)
	}
	if out, err := f.check(); err != nil {
		t.Errorf("scriptfleet check --idle: %v\n%s", err, out)
	}
	return fmt.Sprintf("%d = %d", len(f.sent), len(f.ended))
}

func oneResult(t *testing.T, x fault, f *fleet) string {
	ids := map[run.Key]string{}
	for id, e := range f.ended {
		if other := ids[e.ID]; other != "" {
			t.Errorf("%s and %s share the result id %s", id, other, e.ID)
		}
		ids[e.ID] = id
	}
	if len(f.differ) > 0 && !x.forgets {
		t.Errorf("%d of %d repeated results are not what came first, such as\n%s", len(f.differ), f.repeated, f.differ[0])
	}
	switch {
	case f.repeated == 0:
		return "no repeats"
	case len(f.differ) > 0:
		return fmt.Sprintf("%d repeats, %d of them not the same bytes", f.repeated, len(f.differ))
	}
	return fmt.Sprintf("%d repeats, same bytes", f.repeated)
}

// oneBuild counts layer versions and functions, and the successful calls that
// made them: no layer has a second version, and no function was created twice.
func oneBuild(t *testing.T, _ fault, f *fleet) string {
	scripts := map[int]bool{}
	for _, r := range f.sent {
		scripts[r.script] = true
	}
	functions, layers := f.built(t)
	if functions != len(scripts) || layers != int64(min(f.envs, 1)) {
		t.Errorf("%d functions and %d versions of layers are there for %d scripts and %d envs", functions, layers, len(scripts), min(f.envs, 1))
	}
	for name, n := range f.made {
		if n != 1 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	cell := fmt.Sprintf("%d of %d", functions, len(scripts))
	if f.envs > 0 {
		cell += fmt.Sprintf(", %d layer", layers)
	}
	return cell
}

func rightCode(t *testing.T, x fault, f *fleet) string {
	right, other := 0, map[string]int{}
	for n, r := range f.sent {
		e := f.ended[r.id]
		if e.Data.Status == run.Succeeded {
			want := fmt.Sprintf(`{"script": %d, "n": %d}`, r.script, n)
			var got, wanted any
			_ = json.Unmarshal(e.Data.Output, &got)
			_ = json.Unmarshal([]byte(want), &wanted)
			if fmt.Sprint(got) != fmt.Sprint(wanted) {
				t.Errorf("%s answers %s, and should %s", r.id, e.Data.Output, want)
			}
			right++
			continue
		}
		kind := string(e.Data.Status)
		if e.Data.Error != nil {
			kind = e.Data.Error.Type
		}
		other[kind]++
		if !x.mayEnd(r, kind) {
			t.Errorf("%s ended as %s: %s", r.id, e.Data.Status, e.body)
		}
	}
	cell := fmt.Sprintf("%d outputs", right)
	for kind, n := range other {
		cell += fmt.Sprintf(", %d %s", n, kind)
	}
	return cell
}

// noSilentRerun holds the attempt that a run's results tell to the invocations
// that were seen. Where Redis forgets a result that was sent, the run may be
// invoked once more: then the result after that one tells the attempt.
func noSilentRerun(t *testing.T, _ fault, f *fleet) string {
	most, invokes := 0, 0
	for n, r := range f.sent {
		data, attempt, times := f.ended[r.id].Data, f.ended[r.id].attempt, f.invoked[n]
		invokes += times
		most = max(most, attempt)
		if times > 1 && attempt < 2 || times > 0 && !data.MayHaveExecuted {
			t.Errorf("%s may have been executed %d times, and its result says attempt %d, may_have_executed %v",
				r.id, times, attempt, data.MayHaveExecuted)
		}
		if r.delivery == run.AtMostOnce && times > 1 {
			t.Errorf("%s may be executed once at most, and was invoked %d times", r.id, times)
		}
		if times > maxAttempts || attempt > maxAttempts {
			t.Errorf("%s was invoked %d times, its result says attempt %d; the bound is %d", r.id, times, attempt, maxAttempts)
		}
	}
	return fmt.Sprintf("%d invokes, attempt ≤ %d", invokes, most)
}

// nothingLeft looks for leftovers once all runs are answered and the processes
// have stopped. There must be none at once, unless a process died holding them,
// or logged that it could not give them back to Redis in time.
func nothingLeft(t *testing.T, x fault, f *fleet) string {
	begin := time.Now()
	f.stop()
	t.Logf("all processes stopped within %.1f s", time.Since(begin).Seconds())
	var found []string
	defer func(first []string) {
		t.Logf("nothing was left after %.1f s; at first %q", time.Since(begin).Seconds(), first)
	}(f.leftInRedis())
	limit := 5 * time.Second
	if x.crashes || f.said("tenants' slots") || f.said("tenant's slot") {
		limit = time.Minute
	}
	gone := wait.Soon(limit, func() bool {
		found = append(f.leftInQueues(), f.leftInRedis()...)
		for _, pid := range process.Marked("environ", f.mark) {
			found = append(found, fmt.Sprint("process ", pid))
		}
		return len(found) == 0
	})
	if !gone {
		t.Errorf("left after %s: %s", limit, strings.Join(found, ", "))
	}
	return fmt.Sprintf("%d", len(found))
}
