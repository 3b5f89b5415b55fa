package scale

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const (
	tickEvery   = 10 * time.Millisecond
	sampleEvery = 10 * time.Second
	drainFor    = 3 * time.Minute // for the last results
)

// play is one play of the load on a fleet.
type play struct {
	*fleet
	stories *stories
	began   time.Time
	warmup  time.Duration
	length  time.Duration // with the warm-up

	mu      sync.Mutex
	waits   map[class]*hdrhistogram.Histogram   // until the script starts, in µs
	stages  map[stageOf]*hdrhistogram.Histogram // in ms
	builds  map[run.BuildOutcome]int            // results by what was built for them
	status  map[run.Status]int
	seen    []uint8 // results of each run, by its number
	results int
	doubled int
	points  []point
	last    counts
}

// class is whose run it is.
type class string

const (
	ofQuiet  class = "quiet tenants"
	ofNoisy  class = "the one percent"
	ofEdited class = "new scripts" // the runs of edited scripts, of all tenants
)

type stageOf struct {
	class class
	stage string
}

// counts are what has happened so far, or in an interval.
type counts struct {
	Sent, Results, Started, Created, Throttled, STS, SQS, Redis, Control, GetFunction int
}

// point is an interval of sampleEvery.
type point struct {
	Seconds            float64
	Counts             counts
	Running, Backlog   int     // the most at any second
	InFlight           int     // of the fullest queue
	QuietP99, NoisyP99 float64 // wait in ms
	quiet, noisy       *hdrhistogram.Histogram
}

var stageNames = []string{"intake", "queue", "build_wait", "build", "init", "execute", "publish", "total"}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 3_600_000_000, 3) }

// started notes when a script starts.
func (p *play) started(s startedRun) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := &p.points[len(p.points)-1]
	now.Counts.Started++
	of, line := ofQuiet, now.quiet
	if p.load.isNoisy(s.tenant) {
		of, line = ofNoisy, now.noisy
	}
	if s.isNew {
		of = ofEdited
	} else {
		_ = line.RecordValue(s.wait.Microseconds())
	}
	if p.measuring() {
		_ = p.waits[of].RecordValue(s.wait.Microseconds())
	}
}

func (p *play) measuring() bool {
	return time.Since(p.began) >= p.warmup
}

// send sends what is due, until the play has its length.
func (p *play) send(ctx context.Context) {
	run, edit := p.stories.next(0, p.load.at(0)), p.stories.next(0, p.load.edits)
	for now := time.Duration(0); now < p.length && ctx.Err() == nil; now += tickEvery {
		await(ctx, time.Until(p.began.Add(now)))
		var due []*script
		for ; run <= now; run = p.stories.next(run, p.load.at(run)) {
			due = append(due, p.stories.draw())
		}
		for ; edit <= now; edit = p.stories.next(edit, p.load.edits) {
			p.stories.edit(now)
		}
		due = append(due, p.stories.dueNow(now)...)
		p.mu.Lock()
		p.points[len(p.points)-1].Counts.Sent += len(due)
		p.seen = append(p.seen, make([]uint8, len(due))...)
		p.mu.Unlock()
		for batch := range slices.Chunk(due, queue.MaxBatch) {
			var ms []queue.Message
			for _, s := range batch {
				ms = append(ms, p.message(s))
			}
			p.requests.Send(ctx, ms)
		}
	}
}

func (p *play) message(s *script) queue.Message {
	now := time.Now()
	if s.before != nil { // its author ran the version before
		p.existed(s.before, now)
		s.before = nil
	}
	p.existed(s, now)
	return queue.Message{Body: p.stories.request(s, now), Group: s.of.name}
}

// existed tells the model, once, of a script from before the play.
func (p *play) existed(s *script, now time.Time) {
	if !s.prepared || s.known {
		return
	}
	s.known = true
	decoded, refused := policy.Decode(s.request("before", []byte("null")), now)
	if refused != nil {
		panic(refused)
	}
	p.prepare(decoded.Script)
}

// receive receives results until ctx ends.
func (p *play) receive(ctx context.Context) {
	for ctx.Err() == nil {
		ds, err := p.fleet.results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: queue.MaxWait, Visibility: time.Minute})
		if err != nil {
			return
		}
		p.fleet.results.Delete(ctx, ds)
		for _, d := range ds {
			p.result(d.Body)
		}
	}
}

func (p *play) result(body []byte) {
	n, err := strconv.Atoi(text(body, "subject")[1:])
	if err != nil {
		panic(err)
	}
	outcome, timings := run.BuildOutcome(text(body, "outcome")), member(body, "timings_ms")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[n-1]++; p.seen[n-1] > 1 {
		p.doubled++
		return
	}
	p.results++
	p.points[len(p.points)-1].Counts.Results++
	p.status[run.Status(text(body, "status"))]++
	p.builds[outcome]++
	if !p.measuring() {
		return
	}
	of := ofQuiet
	if p.load.isNoisy(text(body, "tenant")) {
		of = ofNoisy
	}
	if outcome != run.BuildReused {
		of = ofEdited
	}
	for _, stage := range stageNames {
		_ = p.stages[stageOf{of, stage}].RecordValue(number(timings, stage))
	}
}

// sample closes a second, and every sampleEvery an interval.
func (p *play) sample(ctx context.Context) {
	for second := 1; ctx.Err() == nil; second++ {
		await(ctx, time.Until(p.began.Add(time.Duration(second)*time.Second)))
		visible, inFlight := p.sqs.depths()
		total := p.total()
		p.mu.Lock()
		now := &p.points[len(p.points)-1]
		now.Running = max(now.Running, p.lambda.nowRunning())
		now.Backlog, now.InFlight = max(now.Backlog, visible), max(now.InFlight, inFlight)
		if time.Duration(second)*time.Second%sampleEvery == 0 {
			p.closePoint(total)
			p.points = append(p.points, newPoint(float64(second)))
		}
		p.mu.Unlock()
		if progress := time.Duration(second) * time.Second; *scale && progress%time.Minute == 0 {
			fmt.Fprintf(os.Stderr, "  %d of %d minutes played: %d sent, %d results, %d running, %d on queues, %d calls of STS\n", int(progress.Minutes()), int(p.length.Minutes()), total.Sent, total.Results, p.lambda.nowRunning(), visible, total.STS)
		}
	}
}

func newPoint(seconds float64) point {
	return point{Seconds: seconds, quiet: newHistogram(), noisy: newHistogram()}
}

// closePoint ends the last interval; p.mu is held.
func (p *play) closePoint(total counts) {
	now := &p.points[len(p.points)-1]
	now.QuietP99, now.NoisyP99 = float64(now.quiet.ValueAtQuantile(99))/1000, float64(now.noisy.ValueAtQuantile(99))/1000
	now.quiet, now.noisy = nil, nil
	sent, results, started := now.Counts.Sent, now.Counts.Results, now.Counts.Started
	now.Counts = total.minus(p.last)
	now.Counts.Sent, now.Counts.Results, now.Counts.Started = sent, results, started
	p.last = total
}

// total is what has happened so far.
func (p *play) total() counts {
	p.mu.Lock()
	sent, results := len(p.seen), p.results
	p.mu.Unlock()
	p.lambda.mu.Lock()
	defer p.lambda.mu.Unlock()
	p.sts.mu.Lock()
	defer p.sts.mu.Unlock()
	return counts{
		Sent: sent, Results: results, Created: p.lambda.use.created, Throttled: p.lambda.use.throttled, STS: p.sts.calls.of,
		SQS: int(p.sqs.calls.Load()), Redis: int(p.redis.trips.Load()), Control: p.lambda.control.of, GetFunction: p.lambda.gets.of,
	}
}

func (c counts) minus(o counts) counts {
	return counts{
		Sent: c.Sent - o.Sent, Results: c.Results - o.Results, Started: c.Started - o.Started, Created: c.Created - o.Created,
		Throttled: c.Throttled - o.Throttled, STS: c.STS - o.STS, SQS: c.SQS - o.SQS, Redis: c.Redis - o.Redis,
		Control: c.Control - o.Control, GetFunction: c.GetFunction - o.GetFunction,
	}
}

// playLoad plays the load, in the bubble of the caller.
func playLoad(t *testing.T, s size, l load, limits accountLimits, warmup, length time.Duration) *play {
	p := &play{
		stories: newStories(l), began: time.Now(), warmup: warmup, length: warmup + length,
		waits:  map[class]*hdrhistogram.Histogram{ofQuiet: newHistogram(), ofNoisy: newHistogram(), ofEdited: newHistogram()},
		stages: map[stageOf]*hdrhistogram.Histogram{}, builds: map[run.BuildOutcome]int{}, status: map[run.Status]int{},
		points: []point{newPoint(0)},
	}
	for _, c := range []class{ofQuiet, ofNoisy, ofEdited} {
		for _, stage := range stageNames {
			p.stages[stageOf{c, stage}] = hdrhistogram.New(1, 3_600_000, 3)
		}
	}
	p.fleet = openFleet(t, s, p.stories, limits, p.started)
	ctx, stop := context.WithCancel(t.Context())
	var around sync.WaitGroup
	for range 4 {
		around.Go(func() { p.receive(ctx) })
	}
	around.Go(func() { p.sample(ctx) })
	p.send(ctx)
	for end := time.Now().Add(drainFor); time.Now().Before(end) && p.total().Results < len(p.seen); {
		await(ctx, time.Second)
	}
	stop()
	around.Wait()
	p.fleet.close()
	p.points = p.points[:len(p.points)-1] // it is not closed
	return p
}
