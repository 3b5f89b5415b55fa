package simulation

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// prefix is the prefix of the fleet's functions and layers.
const prefix = "sim"

var policy = func() *run.Policy {
	p, err := run.NewPolicy(run.PolicyConfig{Handler: "h1"})
	if err != nil {
		panic(err)
	}
	return p
}()

// request is one event that a story sends.
type request struct {
	at      time.Duration
	event   run.Request
	body    []byte
	key     run.Key // empty if no result can name the run
	want    run.Run // as admitted; zero if it is refused
	refused bool
	quiet   bool // a warm run beside a crowd, which must be served at once
}

func (r *request) String() string { return r.event.ID }

// script is an author's script, and its behaviour.
type script struct {
	source, requirements string
	timeout              int
	status               run.Status
	takes                time.Duration
}

// env is how the build of a layer goes.
type env struct {
	takes     time.Duration
	permanent bool
	transient int // number of builds that fail before one succeeds
}

// script fills the plan with requests.
func (p *plan) script(r *rand.Rand) {
	p.envs = map[string]*env{}
	for i := range 2 {
		e := &env{takes: time.Second + randomly(r, 25*time.Second)}
		if r.IntN(6) == 0 {
			e.permanent = true
		} else if r.IntN(4) == 0 && !p.calm {
			e.transient = 1 + r.IntN(2)
		}
		p.envs[fmt.Sprintf("package%d==1.0", i)] = e
	}
	tenants := []string{"acme", "beta", "gamma"}[:2+r.IntN(2)]
	scripts := p.scripts(r)
	n := 16 + r.IntN(24)
	for i := range n {
		p.add(r, i, tenants[r.IntN(len(tenants))], scripts[r.IntN(len(scripts))])
	}
	p.burst(r, tenants[0], scripts[0])
	if p.crowd {
		p.addCrowd()
	}
}

func (p *plan) scripts(r *rand.Rand) []script {
	var all []script
	for i := range 3 + r.IntN(3) {
		s := script{source: fmt.Sprintf("def main(input): return input # %d", i), timeout: 5 + r.IntN(40), status: run.Succeeded}
		s.takes = 10*time.Millisecond + randomly(r, 2*time.Second)
		kind := r.IntN(6)
		if p.crowd { // so that its quiet tenant waits for nothing else
			kind = 2
		}
		switch kind {
		case 0:
			s.status = []run.Status{run.Failed, run.OutOfMemory, run.TimedOut}[r.IntN(3)]
		case 1:
			s.takes = randomly(r, time.Duration(s.timeout)*time.Second)
		}
		if s.status == run.TimedOut {
			s.takes = time.Duration(s.timeout) * time.Second
		}
		if r.IntN(2) == 0 {
			s.requirements = fmt.Sprintf("package%d==1.0", r.IntN(2))
		}
		all = append(all, s)
	}
	return all
}

// add adds a request of a random kind.
func (p *plan) add(r *rand.Rand, i int, tenant string, s script) {
	q := &request{at: randomly(r, min(p.until, 40*time.Second)), event: ask(tenant, fmt.Sprintf("r%d", i), s)}
	switch kind := r.IntN(100); {
	case kind < 4: // the same event, twice
		twice := *q
		twice.at += randomly(r, 30*time.Second)
		defer p.append(&twice)
	case kind < 8:
		q.event.Type = run.TypeSaved
		q.event.Data.Input = nil
	case kind < 12:
		q.event.Data.Runtime = "cobol"
		q.refused = true
	case kind < 14:
		q.event.Tenant = ""
		q.refused = true
	case kind < 24:
		defer p.append(&request{at: q.at + randomly(r, 15*time.Second) - time.Second, event: cancel(q.event, i)})
	case kind < 34:
		at := epoch.Add(q.at + randomly(r, 40*time.Second))
		q.event.Data.ExpiresAt = &at
	case kind < 60:
		q.event.Data.Delivery = run.AtMostOnce
	}
	if r.IntN(8) == 0 {
		q.event.Data.Credential = "aws-prod"
	}
	p.append(q)
}

// burst adds many runs of one new script at the same moment.
func (p *plan) burst(r *rand.Rand, tenant string, s script) {
	at := randomly(r, p.until/2)
	for i := range r.IntN(15) {
		p.append(&request{at: at, event: ask(tenant, fmt.Sprintf("b%d", i), s)})
	}
}

// addCrowd adds many runs that wait for one build, and a tenant that meanwhile
// runs a built script.
func (p *plan) addCrowd() {
	warm := script{source: "def main(input): return input # warm", timeout: 10, status: run.Succeeded, takes: 100 * time.Millisecond}
	slow := warm
	slow.source += ", and slow to build"
	slow.requirements = "crowd==1.0"
	p.envs["crowd==1.0"] = &env{takes: 45 * time.Second}
	for i := range 4 {
		q := &request{event: ask("quiet", fmt.Sprintf("q%d", i), warm)}
		if i > 0 {
			q.at, q.quiet = 55*time.Second+time.Duration(i)*time.Second, true
		}
		p.append(q)
	}
	// One tenant gets only its share of the room.
	for i := range 3*p.concurrency*p.workers + 5 {
		p.append(&request{at: 50 * time.Second, event: ask(fmt.Sprintf("noisy%d", i), fmt.Sprintf("n%d", i), slow)})
	}
}

// epoch is the start of a bubble's time.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (p *plan) append(q *request) {
	q.at = max(0, q.at)
	body, err := q.event.Encode()
	if err != nil {
		panic(err)
	}
	q.body = body
	want, refused := policy.Decode(body, epoch)
	if (refused != nil) != q.refused {
		panic(fmt.Sprint("a request that should not be refused, or the other way round: ", refused, string(body)))
	}
	q.want, q.key = want, want.Key
	p.requests = append(p.requests, q)
}

func ask(tenant, id string, s script) run.Request {
	input, _ := json.Marshal(map[string]any{"run": id, "ms": s.takes.Milliseconds(), "status": s.status})
	return run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/stories/one", ID: id, Tenant: tenant,
		Data: run.RequestData{
			Action: "simulate", Script: s.source, Requirements: s.requirements, TimeoutSeconds: s.timeout, Input: input,
		},
	}
}

func cancel(e run.Request, i int) run.Request {
	return run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeCancelled, Source: e.Source, ID: fmt.Sprintf("c%d", i), Tenant: e.Tenant,
		Data: run.RequestData{Run: e.ID},
	}
}
