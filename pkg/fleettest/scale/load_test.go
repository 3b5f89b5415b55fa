package scale

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// load is what the stories send.
type load struct {
	seed    uint64
	tenants int
	rate    float64 // runs a second, on average
	edits   float64 // edits of scripts a second
}

// The shape of the load. See the package's documentation for where each number
// comes from.
const (
	skew         = 1.15 // exponent of Zipf's law over the tenants
	noisy        = 100  // one tenant in so many is called noisy: those with the most runs
	peakEvery    = 10 * time.Minute
	peakFrom     = 2 * time.Minute // after the beginning, and then every peakEvery
	peakFor      = time.Minute
	peak         = 3.0 // times the average
	medianMS     = 195.0
	meanMS       = 504.0
	longest      = 50 * time.Second
	newEnvs      = 0.1 // of edits that change the requirements
	commonEnvs   = 200 // requirements that scripts share at the start
	withEnv      = 0.7 // of scripts
	withRole     = 0.1 // of scripts
	runsOfAnEdit = 3   // within a minute after it
	timeout      = 60
	mostScripts  = 7 // of a tenant
)

// at is the rate at a time of the play. It is the average over each peakEvery.
func (l load) at(t time.Duration) float64 {
	if (t+peakEvery-peakFrom)%peakEvery < peakFor {
		return l.rate * peak
	}
	share := peakFor.Seconds() / peakEvery.Seconds()
	return l.rate * (1 - peak*share) / (1 - share)
}

// author is a tenant with its scripts.
type author struct {
	name    string
	scripts []*script
}

// script is a version of a tenant's script.
type script struct {
	of       *author
	number   int
	version  int
	env      string // its requirements
	median   float64
	role     bool
	prepared bool    // its function exists since before the play
	known    bool    // and the model has been told of it
	before   *script // the version that was edited
}

// request is the event of a run of the script. It is written by hand, because
// encoding/json would cost more than the dispatcher.
func (s *script) request(id string, input []byte) []byte {
	b := make([]byte, 0, 1<<10)
	b = append(b, `{"specversion":"`+run.SpecVersion+`","type":"`+run.TypeRequested+`","source":"/scale","id":"`...)
	b = append(b, id...)
	b = append(b, `","tenant":"`...)
	b = append(b, s.of.name...)
	b = append(b, `","data":{"script":"`...)
	b = fmt.Appendf(b, `# script %d, version %d\n`, s.number, s.version)
	b = append(b, padding...)
	b = append(b, `","requirements":"`...)
	b = append(b, s.env...)
	b = append(b, `","timeout_seconds":`...)
	b = strconv.AppendInt(b, timeout, 10)
	if s.role {
		b = append(b, `,"credential":"aws"`...)
	}
	b = append(b, `,"input":`...)
	return append(append(b, input...), "}}"...)
}

// padding is what the scripts have in common, as a part of a JSON string.
var padding = strings.Repeat(`# what such a script says elsewhere: a few calls, a loop and a regular expression\n`, 7) +
	`def main(input):\n    return input\n`

// stories send the load.
type stories struct {
	load
	random  *rand.Rand
	authors []*author
	upTo    []float64 // cumulative weights of the authors
	envs    int       // number of the last new env
	due     []edited  // runs of edited scripts, in order of time
	sent    int
}

// edited is a run that an author makes after an edit.
type edited struct {
	at     time.Duration
	script *script
}

func newStories(l load) *stories {
	s := &stories{load: l, random: rand.New(rand.NewPCG(l.seed, 0))}
	var sum float64
	for i := range l.tenants {
		a := &author{name: fmt.Sprintf("tenant-%06d", i)}
		for n := range 1 + s.random.IntN(mostScripts) {
			a.scripts = append(a.scripts, &script{of: a, number: n, env: s.commonEnv(), median: s.duration(), role: s.random.Float64() < withRole, prepared: true})
		}
		sum += math.Pow(float64(i+1), -skew)
		s.authors, s.upTo = append(s.authors, a), append(s.upTo, sum)
	}
	return s
}

// commonEnv draws one of the requirements that many use, or none.
func (s *stories) commonEnv() string {
	if s.random.Float64() >= withEnv {
		return ""
	}
	return "package-" + strconv.Itoa(int(commonEnvs*math.Pow(s.random.Float64(), 2))) + "==1.0"
}

// duration draws a script's typical duration in ms: log-normal.
func (s *stories) duration() float64 {
	sigma := math.Sqrt(2 * math.Log(meanMS/medianMS))
	return medianMS * math.Exp(sigma*s.random.NormFloat64())
}

// draw draws the script of the next run.
func (s *stories) draw() *script {
	i, _ := slices.BinarySearch(s.upTo, s.random.Float64()*s.upTo[len(s.upTo)-1])
	a := s.authors[min(i, len(s.authors)-1)]
	return a.scripts[s.random.IntN(len(a.scripts))]
}

// rateOf is the average rate of an author's runs.
func (s *stories) rateOf(i int) float64 {
	before := 0.0
	if i > 0 {
		before = s.upTo[i-1]
	}
	return s.rate * (s.upTo[i] - before) / s.upTo[len(s.upTo)-1]
}

// edit changes a script, and plans the runs that its author makes of it. Any
// tenant is as likely to edit as any other.
func (s *stories) edit(now time.Duration) {
	a := s.authors[s.random.IntN(len(s.authors))]
	n := s.random.IntN(len(a.scripts))
	next := *a.scripts[n]
	next.version++
	next.prepared, next.before = false, a.scripts[n]
	if s.random.Float64() < newEnvs {
		s.envs++
		next.env = "package-of-an-edit==" + strconv.Itoa(s.envs) + ".0"
	}
	a.scripts[n] = &next
	for i := range runsOfAnEdit {
		s.plan(edited{now + time.Duration(float64(i)*s.random.Float64()*30*float64(time.Second)), &next})
	}
}

func (s *stories) plan(e edited) {
	i, _ := slices.BinarySearchFunc(s.due, e.at, func(d edited, at time.Duration) int { return int(d.at - at) })
	s.due = slices.Insert(s.due, i, e)
}

// dueNow takes the runs of edited scripts that are due.
func (s *stories) dueNow(now time.Duration) (all []*script) {
	n := 0
	for n < len(s.due) && s.due[n].at <= now {
		all = append(all, s.due[n].script)
		n++
	}
	s.due = s.due[n:]
	return all
}

// isNoisy tells whether a tenant is one of those with the most runs.
func (l load) isNoisy(tenant string) bool {
	n, _ := strconv.Atoi(tenant[len("tenant-"):])
	return n < max(1, l.tenants/noisy)
}

// takes draws the duration of one run of a script.
func (s *stories) takes(of *script) time.Duration {
	ms := of.median * math.Exp(0.3*s.random.NormFloat64())
	return min(longest, time.Duration(ms*float64(time.Millisecond)))
}

// next draws when the next thing happens that happens so often a second.
func (s *stories) next(after time.Duration, rate float64) time.Duration {
	if rate <= 0 {
		return math.MaxInt64
	}
	return after + time.Duration(s.random.ExpFloat64()/rate*float64(time.Second))
}

// request is the event of a run that is due now.
func (s *stories) request(of *script, due time.Time) []byte {
	s.sent++
	return of.request("r"+strconv.Itoa(s.sent), fmt.Appendf(nil, `{"us":%d,"due":%d,"new":%t}`, s.takes(of).Microseconds(), due.UnixMicro(), !of.prepared))
}
