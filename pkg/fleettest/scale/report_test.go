package scale

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/dashboards/prices"
	"github.com/scriptfleet/scriptfleet/pkg/plot"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// report is what a play shows.
type report struct {
	Title   string
	Tables  []table
	Points  []point
	Verdict string
	Good    bool
}

// table is a table of the report; the first column is text.
type table struct {
	Title string
	Note  string
	Head  []string
	Rows  [][]string
}

// multiples are the loads for which the report shows the use of limits.
var multiples = []int{1, 2, 4, 8}

// askAt is the share of a limit above which the report says what to ask AWS for.
const askAt = 70.0

// limit is the use of one of the account's limits.
type limit struct {
	name          string
	average, most float64 // of a second
	of            float64
	fixed         bool   // it does not grow with the load, as the fleet has more queues then
	refused       string // what it refused; empty if nothing
	ask           string // what to ask AWS for, or to do
}

func (l limit) percent() float64 { return 100 * l.most / l.of }

// limits are the uses after the warm-up.
func (p *play) limits() []limit {
	a := p.lambda.limits
	seconds := (p.length - p.warmup).Seconds()
	in := p.measured()
	rate := func(name string, of func(counts) int, most int, ask string) limit {
		return limit{name: name, average: float64(of(in)) / seconds, most: p.peakOf(of), of: float64(most), ask: ask}
	}
	inFlight, running := 0, 0
	for _, t := range p.points {
		inFlight, running = max(inFlight, t.InFlight), max(running, t.Running)
	}
	code := float64(p.lambda.codeBytes(p.scripts(), commonEnvs+p.stories.envs)) / (1 << 30)
	const split = "nothing: AWS does not raise it. Split the tenants over accounts or regions (cells)"
	executions := limit{
		name: "Lambda concurrent executions", average: p.lambda.use.seconds / p.length.Seconds(), most: float64(running), of: float64(a.Concurrency),
		ask: fmt.Sprintf("concurrent executions of %s", plot.Grouped(float64(running)/askAt*100+500)),
	}
	if n := p.lambda.use.throttled; n > 0 {
		executions.refused = fmt.Sprintf("concurrent executions (%d invocations were throttled)", n)
	}
	control := rate("Lambda control plane, calls a second", func(c counts) int { return c.Control }, a.Control, split)
	if wait := time.Duration(p.waits[ofEdited].ValueAtQuantile(99)) * time.Microsecond; wait > 30*time.Second {
		control.refused = fmt.Sprintf("the control plane (p99 of the wait of new scripts is %s)", wait.Round(time.Second))
	}
	assumed := rate("STS, calls a second", func(c counts) int { return c.STS }, a.STS, "")
	assumed.ask = fmt.Sprintf("%.0f calls of AssumeRole a second; or fewer and larger workers, each of which needs its own sessions; or cells", assumed.most/askAt*100)
	if p.sts.throttled > 0 {
		assumed.refused = fmt.Sprintf("STS (%d calls were throttled)", p.sts.throttled)
	}
	return []limit{
		executions, control, assumed,
		rate("Lambda GetFunction, calls a second", func(c counts) int { return c.GetFunction }, a.GetFunction, split),
		{name: "SQS, messages in flight on the fullest queue", average: float64(inFlight), most: float64(inFlight), of: float64(a.InFlight), fixed: true, ask: "nothing: more partitions"},
		{name: "Lambda code storage, GB", average: code, most: code, of: float64(a.CodeBytes) / (1 << 30), ask: fmt.Sprintf("code storage of %.0f GB", code/askAt*100+10)},
	}
}

// scripts is the number of functions of all scripts.
func (p *play) scripts() (n int) {
	for _, a := range p.stories.authors {
		n += len(a.scripts)
	}
	return n
}

// measured are the counts after the warm-up and before the last results.
func (p *play) measured() (sum counts) {
	for _, t := range p.points {
		if t.Seconds >= p.warmup.Seconds() && t.Seconds < p.length.Seconds() {
			sum = sum.minus(counts{}.minus(t.Counts))
		}
	}
	return sum
}

// peakOf is the highest rate of an interval, a second.
func (p *play) peakOf(of func(counts) int) (most float64) {
	for _, t := range p.points {
		if t.Seconds >= p.warmup.Seconds() && t.Seconds < p.length.Seconds() {
			most = max(most, float64(of(t.Counts))/sampleEvery.Seconds())
		}
	}
	return most
}

// refused names the limits that refused calls, or that are used up.
func (p *play) refused() (names []string) {
	for _, l := range p.limits() {
		switch {
		case l.refused != "":
			names = append(names, l.refused)
		case l.percent() >= 100:
			names = append(names, l.name)
		}
	}
	return names
}

// figures of `make bench`.
func figures(file string) (values map[string]float64, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var read map[string]struct{ Value float64 }
	if err := json.Unmarshal(content, &read); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	values = map[string]float64{}
	for name, f := range read {
		values[name] = f.Value
	}
	return values, nil
}

func ms(us int64) string { return plot.Short(float64(us) / 1000) }

func (p *play) report(bench map[string]float64, priced prices.Prices) (r report) {
	in := p.measured()
	runs := float64(in.Sent)
	r.Title = fmt.Sprintf("%s runs a second of %s tenants, %s played", plot.Grouped(p.load.rate), plot.Grouped(float64(p.load.tenants)), (p.length - p.warmup).Round(time.Second))
	r.Points = p.points
	lost := len(p.seen) - p.results
	r.Good = lost == 0 && p.doubled == 0 && len(p.refused()) == 0
	r.Verdict = fmt.Sprintf("%s runs sent, %s results: %d lost, %d doubled.", plot.Grouped(float64(len(p.seen))), plot.Grouped(float64(p.results)), lost, p.doubled)
	if names := p.refused(); len(names) > 0 {
		r.Verdict += " Limits that refused: " + strings.Join(names, "; ") + "."
	}

	waits := table{Title: "Waits until a script starts", Note: "from when its run was due", Head: []string{"of", "runs", "p50", "p99", "max"}}
	for _, c := range []class{ofQuiet, ofNoisy, ofEdited} {
		h := p.waits[c]
		waits.Rows = append(waits.Rows, []string{string(c), plot.Grouped(float64(h.TotalCount())), ms(h.ValueAtQuantile(50)), ms(h.ValueAtQuantile(99)), ms(h.Max())})
	}
	stages := table{Title: "Stages", Note: "p50 · p99 · max", Head: []string{"stage", string(ofQuiet), string(ofNoisy), string(ofEdited)}}
	for _, stage := range stageNames {
		row := []string{stage}
		for _, c := range []class{ofQuiet, ofNoisy, ofEdited} {
			h := p.stages[stageOf{c, stage}]
			row = append(row, fmt.Sprintf("%s · %s · %s", ms(1000*h.ValueAtQuantile(50)), ms(1000*h.ValueAtQuantile(99)), ms(1000*h.Max())))
		}
		stages.Rows = append(stages.Rows, row)
	}
	built := table{Title: "Builds", Head: []string{"of the results", "runs"}}
	var outcomes []run.BuildOutcome
	for o := range p.builds {
		outcomes = append(outcomes, o)
	}
	slices.Sort(outcomes)
	for _, o := range outcomes {
		built.Rows = append(built.Rows, []string{string(o), plot.Grouped(float64(p.builds[o]))})
	}
	built.Rows = append(built.Rows, []string{"functions made", plot.Grouped(float64(p.lambda.use.created))}, []string{"layers made", plot.Grouped(float64(p.lambda.use.layers))},
		[]string{"cold starts", plot.Grouped(float64(p.lambda.use.coldStarts))})

	used := table{Title: "Limits of the account", Note: "the highest rate is of any ten seconds", Head: []string{"limit", "use", "average", "highest", "of", "what to ask AWS for"}}
	for _, l := range p.limits() {
		ask := "nothing"
		if l.percent() > askAt {
			ask = l.ask
		}
		used.Rows = append(used.Rows, []string{l.name, fmt.Sprintf("%.0f %%", l.percent()), plot.Plain(l.average), plot.Plain(l.most), plot.Plain(l.of), ask})
	}

	use := prices.Use{Rate: p.load.rate, Requests: float64(in.SQS) / runs, CPU: bench["cpu.fleet"], Seconds: p.lambda.use.seconds / float64(p.lambda.use.invocations)}
	cost := priced.Cost(use)
	vcpu := func(rate float64) float64 { return rate * use.CPU / 1000 / prices.FleetLoad }
	fleet := table{Title: "Processes and Redis", Note: "computed from the counts of this play and the figures of make bench", Head: []string{"what", "on average", "at the peak"}}
	pair := func(what string, of func(rate float64) string) {
		fleet.Rows = append(fleet.Rows, []string{what, of(p.load.rate), of(p.load.rate * peak)})
	}
	pair("runs a second", plot.Grouped)
	fleet.Rows = append(fleet.Rows, []string{fmt.Sprintf("workers of %d runs", p.concurrency), fmt.Sprint(p.workers), fmt.Sprint(p.workers)}, []string{"dispatchers", fmt.Sprint(p.dispatchers), fmt.Sprint(p.dispatchers)})
	pair(fmt.Sprintf("vCPU of both, half used, %.2f ms a run", use.CPU), func(rate float64) string { return plot.Plain(vcpu(rate)) })
	pair("SQS requests a second", func(rate float64) string { return plot.Grouped(rate * use.Requests) })
	pair("Redis round trips a second", func(rate float64) string { return plot.Grouped(rate * float64(in.Redis) / runs) })
	pair(fmt.Sprintf("Redis commands a second, %.1f a run", bench["redis.commands.2000"]), func(rate float64) string { return plot.Grouped(rate * bench["redis.commands.2000"]) })
	fleet.Rows = append(fleet.Rows, []string{fmt.Sprintf("Redis memory, GB: %d bytes a run for four days", prices.IdentityBytes), fmt.Sprintf("%.0f", use.RedisGB()*prices.RedisFill), fmt.Sprintf("%d × %s", cost.Shards, cost.Node.Type)})
	pair("network of the bodies on queues, MB a second", func(rate float64) string {
		return plot.Plain(rate * float64(p.sqs.bytes.Load()) / float64(len(p.seen)) / (1 << 20))
	})

	money := table{Title: "Dollars for a million runs", Note: priced.Region + ", " + priced.Date, Head: []string{"part", "$"}}
	for _, row := range []struct {
		part string
		cost float64
	}{{fmt.Sprintf("SQS, %.2f requests a run", use.Requests), cost.SQS}, {fmt.Sprintf("Lambda, 128 MB for %.0f ms", use.Seconds*1000), cost.Lambda}, {"Redis, a primary and a replica", cost.Redis},
		{"dispatchers and workers, Fargate", cost.Fleet}, {"data through endpoints", cost.Moved}, {"together", cost.Total()}} {
		money.Rows = append(money.Rows, []string{row.part, fmt.Sprintf("%.2f", row.cost)})
	}

	breaks := table{Title: "Where it breaks", Note: "use of each limit at a load so many times as large", Head: []string{"limit"}}
	for _, times := range multiples {
		breaks.Head = append(breaks.Head, fmt.Sprintf("%d ×", times))
	}
	first := multiples[len(multiples)-1] * 2
	for _, l := range p.limits() {
		row := []string{l.name}
		for _, times := range multiples {
			percent := l.percent() * float64(times)
			if l.fixed {
				percent = l.percent()
			}
			row = append(row, fmt.Sprintf("%.0f %%", percent))
			if percent >= 100 && times < first {
				first = times
				breaks.Note = fmt.Sprintf("use of each limit at a load so many times as large; the first that breaks, at %d ×: %s", times, l.name)
			}
		}
		breaks.Rows = append(breaks.Rows, row)
	}
	r.Tables = []table{waits, stages, built, used, fleet, money, breaks}
	return r
}

// divided are limits for a load that is so many times larger.
func (a accountLimits) divided(times int) accountLimits {
	a.Control, a.GetFunction, a.Concurrency, a.InFlight, a.STS, a.CodeBytes = max(1, a.Control/times), a.GetFunction/times, a.Concurrency/times, a.InFlight/times, a.STS/times, a.CodeBytes/int64(times)
	return a
}

// print prints the tables.
func (r report) print() {
	fmt.Printf("\n%s\n%s\n", r.Title, r.Verdict)
	for _, t := range r.Tables {
		fmt.Printf("\n%s", t.Title)
		if t.Note != "" {
			fmt.Printf(" (%s)", t.Note)
		}
		fmt.Println()
		wide := make([]int, len(t.Head))
		for _, row := range append([][]string{t.Head}, t.Rows...) {
			for i, cell := range row {
				wide[i] = max(wide[i], len([]rune(cell)))
			}
		}
		for _, row := range append([][]string{t.Head}, t.Rows...) {
			for i, cell := range row {
				pad := strings.Repeat(" ", wide[i]-len([]rune(cell)))
				if i == 0 || i == len(row)-1 && len(t.Head) > 4 {
					fmt.Print("  ", cell, pad)
				} else {
					fmt.Print("  ", pad, cell)
				}
			}
			fmt.Println()
		}
	}
}
