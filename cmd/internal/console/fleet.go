package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// fleetView is the fleet on one screen.
type fleetView struct {
	At        time.Time
	Status    look.Status
	Fault     string // why the fleet does not work as a whole; empty if it does
	Tiles     []tile
	Plots     []smallPlot
	Queues    []look.Queue // the partitions are added up
	Stages    []stageWait
	StagesOf  int
	Every     time.Duration
	Turns     int
	InHand    int
	Tenants   []backlog
	Releases  []string
	Processes []look.Process
}

// tile is a figure.
type tile struct {
	Name, Value, Note, Link, Class string
}

// backlog is a tenant with open runs.
type backlog struct {
	Tenant string
	Open   int
	Part   float64 // of all open runs, 0 to 100
}

func (c *Console) fleetPage(w http.ResponseWriter, r *http.Request) {
	v, err := c.fleet(r.Context())
	if err != nil {
		c.away(w, r, err)
		return
	}
	c.show(w, r, "fleet", "Fleet", v)
}

func (c *Console) fleetLive(w http.ResponseWriter, r *http.Request) {
	c.stream(w, r, c.cfg.Sample/2, func(ctx context.Context) (string, bool, error) {
		v, err := c.fleet(ctx)
		if err != nil {
			return "", false, err
		}
		part, err := c.pages.part("fleet", "live", v)
		return part, false, err
	})
}

func (c *Console) fleet(ctx context.Context) (fleetView, error) {
	s, err := c.samples.last(ctx)
	if err != nil {
		return fleetView{}, err
	}
	v := fleetView{At: s.at, Status: s.status, Stages: s.stages, StagesOf: s.ended, Every: c.cfg.Sample, Processes: s.status.Processes}
	if err := s.status.Err(); err != nil {
		v.Fault = strings.ToUpper(err.Error()[:1]) + err.Error()[1:] + "."
	}
	v.Queues = v.addUp()
	for _, p := range s.status.Processes {
		v.Turns += p.Turns
	}
	for _, b := range s.status.Backlogs {
		v.Tenants = append(v.Tenants, backlog{b.Tenant, b.Open, 100 * float64(b.Open) / float64(max(s.status.Open, 1))})
	}
	hour := c.samples.hour()
	if len(s.stages) == 0 { // show the last waits that there were
		for i := len(hour) - 1; i >= 0; i-- {
			if len(hour[i].stages) > 0 {
				v.Stages, v.StagesOf = hour[i].stages, hour[i].ended
				break
			}
		}
	}
	v.Tiles = v.tiles(s, hour)
	v.Plots = plotsOf(hour)
	return v, nil
}

// addUp adds the partitions up, and counts what workers have in hand.
func (v *fleetView) addUp() (all []look.Queue) {
	parts := 0
	var sum look.Queue
	for _, q := range v.Status.Queues {
		q.Queue = strings.TrimPrefix(q.Queue, v.Status.Prefix+"-")
		number := strings.TrimPrefix(q.Queue, "partition-")
		if _, err := strconv.Atoi(number); err == nil {
			parts++
			sum.Visible, sum.InFlight, sum.Delayed = sum.Visible+q.Visible, sum.InFlight+q.InFlight, sum.Delayed+q.Delayed
			v.InHand += q.InFlight
			continue
		}
		if number == "side" {
			v.InHand += q.InFlight
			sum.Queue = fmt.Sprintf("%d partitions", parts)
			all = append(all, sum)
		}
		all = append(all, q)
	}
	return all
}

func perSecond(v float64) string {
	if v > 0 && v < 10 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return count(int64(v + 0.5))
}

func whole(v float64) string { return count(int64(v + 0.5)) }

func milliseconds(v float64) string { return ms(int64(v + 0.5)) }

func (v *fleetView) tiles(s *sample, hour []*sample) []tile {
	rate := func(x float64) string {
		if !s.measured {
			return "–"
		}
		return perSecond(x)
	}
	builds, saved := 0, 0
	for _, one := range hour {
		builds += one.builds
		saved += one.buildsSaved
	}
	failed := int64(0)
	for status, n := range s.status.Finished {
		if status != run.Succeeded {
			failed += n
		}
	}
	dead := 0
	for _, q := range v.Queues {
		if strings.HasSuffix(q.Queue, "dlq") {
			dead += q.Visible + q.InFlight + q.Delayed
		}
	}
	class := func(n int64, bad string) string {
		if n > 0 {
			return bad
		}
		return ""
	}
	note := number(int64(s.status.Tenants), "tenant")
	return []tile{
		{"Requests in", rate(s.in), "a second", "/runs", ""},
		{"Results out", rate(s.out), "a second", "/runs", ""},
		{"Open runs", count(s.status.Open), note, "/runs", ""},
		{"In hand", count(v.InHand), fmt.Sprintf("of %s turns", count(v.Turns)), "/runs", ""},
		{"Builds", count(builds), fmt.Sprintf("in an hour; %s needed none", number(int64(saved), "run")), "/runs", ""},
		{"Did not succeed", count(failed), fmt.Sprintf("of %s ended", count(s.status.Ended)), "/runs?status=failed", class(failed, "warn")},
		{"Dead letters", count(dead), "to look at", "/letters", class(int64(dead), "bad")},
	}
}

// plotsOf are the plots of the last hour.
func plotsOf(hour []*sample) []smallPlot {
	measured := func(of func(*sample) float64) func(*sample) (float64, bool) {
		return func(s *sample) (float64, bool) { return of(s), s.measured }
	}
	always := func(of func(*sample) float64) func(*sample) (float64, bool) {
		return func(s *sample) (float64, bool) { return of(s), true }
	}
	stage := func(name string, of func(stageWait) int64) func(*sample) (float64, bool) {
		return func(s *sample) (float64, bool) {
			for _, w := range s.stages {
				if w.Name == name {
					return float64(of(w)), true
				}
			}
			return 0, false
		}
	}
	p50, p95 := func(w stageWait) int64 { return w.P50 }, func(w stageWait) int64 { return w.P95 }
	depth := func(is func(string) bool) func(*sample) (float64, bool) {
		return always(func(s *sample) (n float64) {
			for _, q := range s.status.Queues {
				if is(strings.TrimPrefix(q.Queue, s.status.Prefix+"-")) {
					n += float64(q.Visible + q.Delayed)
				}
			}
			return n
		})
	}
	return []smallPlot{
		newPlot("Requests and results", "a second", "/runs", hour, perSecond,
			series{"in", "one", measured(func(s *sample) float64 { return s.in })}, series{"out", "two", measured(func(s *sample) float64 { return s.out })}),
		newPlot("Open runs", "", "/runs", hour, whole, series{"open", "one", always(func(s *sample) float64 { return float64(s.status.Open) })}),
		newPlot("Time in the queue", "", "/runs", hour, milliseconds, series{"p50", "one", stage("queue", p50)}, series{"p95", "two", stage("queue", p95)}),
		newPlot("Time executing", "", "/runs", hour, milliseconds, series{"p50", "one", stage("execute", p50)}, series{"p95", "two", stage("execute", p95)}),
		newPlot("Whole time", "", "/runs", hour, milliseconds, series{"p50", "one", stage("total", p50)}, series{"p95", "two", stage("total", p95)}),
		newPlot("Builds", "between two looks", "/runs", hour, whole,
			series{"built", "one", measured(func(s *sample) float64 { return float64(s.builds) })}, series{"needed none", "two", measured(func(s *sample) float64 { return float64(s.buildsSaved) })}),
		newPlot("Waiting messages", "", "/runs", hour, whole,
			series{"requests", "one", depth(func(q string) bool { return q == "requests" })}, series{"partitions", "two", depth(func(q string) bool {
				return strings.HasPrefix(q, "partition-") && q != "partition-dlq"
			})}),
		newPlot("Dead letters", "", "/letters", hour, whole, series{"letters", "bad", depth(func(q string) bool { return strings.HasSuffix(q, "dlq") })}),
	}
}
