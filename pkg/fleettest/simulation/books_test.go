package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/memfunction"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// books are what the simulation records: what must happen, and what did.
type books struct {
	byKey   map[run.Key]*request
	byID    map[string]*request
	scripts map[string]run.Script // by the names of their functions
	cancels map[run.Key]bool      // runs for which a cancellation is sent
	buried  int                   // number of requests that must end on the dead-letter queue
	meddled atomic.Bool           // a function was deleted or set Inactive

	bmu         sync.Mutex
	first       error // the first broken promise
	answers     map[run.Key]*answer
	invocations []*invocation
	executions  map[run.Key][]*invocation
	seen        int // number of executions that were checked
	flushes     []time.Duration
	fences      map[string]int64
	creates     map[string]*creation // the last of each function, by its name
	inHand      map[string]*site     // who holds each message, by its id
	twins       map[string]bool      // messages that were delivered twice at once
	dispatched  map[run.Key]int      // number of receives of each request
}

// answer is a result of a request.
type answer struct {
	at     time.Duration
	body   []byte
	result run.Result
	copies int
}

// invocation is one call of a run's function.
type invocation struct {
	by   *site
	of   *request
	at   time.Duration
	end  time.Duration
	err  error
	done bool
}

func (b *books) open(p *plan) {
	b.byKey, b.byID, b.scripts, b.cancels = map[run.Key]*request{}, map[string]*request{}, map[string]run.Script{}, map[run.Key]bool{}
	b.answers, b.executions, b.fences = map[run.Key]*answer{}, map[run.Key][]*invocation{}, map[string]int64{}
	b.creates = map[string]*creation{}
	b.inHand, b.twins = map[string]*site{}, map[string]bool{}
	b.dispatched = map[run.Key]int{}
	for _, q := range p.requests {
		if q.key == "" {
			b.buried++
			continue
		}
		if before := b.byKey[q.key]; before == nil || q.at < before.at {
			b.byKey[q.key], b.byID[q.event.ID] = q, q
		}
		switch {
		case q.event.Type == run.TypeCancelled:
			b.cancels[q.want.CancelsKey()] = true
		case !q.refused:
			b.scripts[run.FunctionName(prefix, q.want.Tenant, q.want.Script.Hash)] = q.want.Script
			if runner, ok := policy.Runner(q.want.Script); ok {
				b.scripts[run.FunctionName(prefix, q.want.Tenant, runner.Hash)] = runner
			}
		}
	}
}

// breaks records the first broken promise.
func (f *fleet) breaks(format string, args ...any) {
	f.bmu.Lock()
	defer f.bmu.Unlock()
	f.breaksLocked(format, args...)
}

func (f *fleet) breaksLocked(format string, args ...any) {
	if f.first == nil {
		f.first = fmt.Errorf(format, args...)
		f.log("world", "A PROMISE IS BROKEN: %v", f.first)
		f.trace.end()
	}
}

func (f *fleet) broken() error {
	f.bmu.Lock()
	defer f.bmu.Unlock()
	return f.first
}

func (f *fleet) forgot(at time.Duration) {
	f.bmu.Lock()
	defer f.bmu.Unlock()
	f.flushes = append(f.flushes, at)
	clear(f.fences)
}

// forgotSince tells whether Redis lost its data at or after a moment.
func (b *books) forgotSince(at time.Duration) bool {
	for _, flush := range b.flushes {
		if flush >= at {
			return true
		}
	}
	return false
}

// result records a result from the queue.
func (f *fleet) result(body []byte) {
	res, err := run.DecodeResult(body)
	if err != nil {
		f.breaks("a result can't be read: %v", err)
		return
	}
	f.bmu.Lock()
	defer f.bmu.Unlock()
	q, a := f.byKey[res.ID], f.answers[res.ID]
	switch {
	case q == nil:
		f.breaksLocked("a result for a run that nobody asked for: %s", body)
	case a == nil:
		f.answers[res.ID] = &answer{at: f.now(), body: body, result: res, copies: 1}
		f.log("story", "has the result of %s: %s, attempt %d", q, res.Data.Status, res.Data.Attempt)
		if q.quiet && f.now()-q.at > 10*time.Second {
			f.breaksLocked("%s is of a warm script, and had to wait %s beside a crowd that waits for a build", q, f.now()-q.at)
		}
	default:
		a.copies++
		if !bytes.Equal(a.body, body) && !f.forgotSince(q.at) {
			f.breaksLocked("%s has two results:\n%s\n%s", q, a.body, body)
		}
	}
}

// wrote checks a build record that a site has written.
func (f *fleet) wrote(s *site, key string, r builds.Record) {
	f.log(s.name, "writes the record of %s with fence %d, failure %v", key, r.Fence, r.Failure)
	f.bmu.Lock()
	defer f.bmu.Unlock()
	if r.Fence < f.fences[key] {
		f.breaksLocked("the record of %s, of fence %d, was written over by fence %d", key, f.fences[key], r.Fence)
	}
	f.fences[key] = r.Fence
}

// makes checks a function that a site is about to create.
func (f *fleet) makes(s *site, spec function.Spec) {
	f.log(s.name, "creates %s", spec.Name)
	want, ok := f.scripts[spec.Name]
	right := ok && string(spec.Code) == code(want) && spec.Runtime == want.Runtime.Lambda && spec.TimeoutSeconds == want.TimeoutSeconds
	if want.EnvHash != "" {
		right = right && layerOf(spec.LayerARNs, run.LayerName(prefix, want.EnvHash))
	} else {
		right = right && len(spec.LayerARNs) == 0
	}
	if !right {
		f.breaks("the function %s is made of something else than its script: %+v", spec.Name, spec)
	}
}

// invokes checks an invocation that a site is about to make.
func (f *fleet) invokes(s *site, tenant, name string, payload []byte) *invocation {
	in := read(payload)
	q := f.byID[in.Input.Run]
	i := &invocation{by: s, of: q, at: f.now()}
	f.log(s.name, "invokes %s", in.Input.Run)
	if q == nil || tenant != q.want.Tenant || name != f.ofRun(q, in) {
		f.breaks("%s invokes %s for %s with %s", s.name, name, tenant, payload)
	}
	f.bmu.Lock()
	f.invocations = append(f.invocations, i)
	f.bmu.Unlock()
	return i
}

// ofRun is the name of the function that may execute the run with this payload:
// the script's own, or the env runner if the payload carries a script.
func (f *fleet) ofRun(q *request, in payload) string {
	s := q.want.Script
	if in.Script != nil {
		s, _ = policy.Runner(s)
	}
	return run.FunctionName(prefix, q.want.Tenant, s.Hash)
}

func (f *fleet) invoked(i *invocation, err error) {
	f.bmu.Lock()
	defer f.bmu.Unlock()
	i.end, i.err, i.done = f.now(), err, true
	f.log(i.by.name, "is answered for %s: %v", i.of, err)
}

// checkExecutions checks the executions since its last call.
func (f *fleet) checkExecutions() {
	all := f.functions.Executions()
	f.bmu.Lock()
	defer f.bmu.Unlock()
	for _, c := range all[f.seen:] {
		f.seen++
		i := f.invocationOf(c)
		if i == nil {
			f.breaksLocked("an execution that no site asked for: %s", c.Payload)
			return
		}
		if in := read(c.Payload); in.Script != nil && (in.Script.Source != i.of.want.Script.Source || in.Script.TimeoutSeconds != i.of.want.Script.TimeoutSeconds) {
			f.breaksLocked("an env runner executes another script for %s: %s", i.of, c.Payload)
		}
		before := f.executions[i.of.key]
		f.executions[i.of.key] = append(before, i)
		if len(before) > 0 {
			f.checkAgain(before[len(before)-1], i)
		}
	}
}

func (b *books) invocationOf(c memfunction.Call) *invocation {
	q := b.byID[read(c.Payload).Input.Run]
	for _, i := range b.invocations {
		if i.of == q && epoch.Add(i.at).Equal(c.At) {
			return i
		}
	}
	return nil
}

// forgotten tells whether Redis lost a run's record and an older call may have
// restored it: see Exceptions.
func (f *fleet) forgotten(q *request) bool {
	return f.forgotSince(q.at) && (f.dispatched[q.key] > 1 || f.plan.has(eventStop) || f.plan.has(eventStopSoon))
}

// checkAgain looks for a reason why a run was executed again.
func (f *fleet) checkAgain(last, i *invocation) {
	const margin = 20 * time.Second // for claims that could not be renewed
	if i.of.want.Data.Delivery == run.AtMostOnce && !f.forgotten(i.of) {
		f.breaksLocked("%s is executed again, by %s at %s after %s at %s", i.of, i.by.name, i.at, last.by.name, last.at)
		return
	}
	switch {
	case last.done && last.err != nil && last.end <= i.at:
	case last.by.hurtBetween(last.at-margin, i.at), i.by.hurtBetween(last.at-margin, i.at):
	case f.forgotSince(i.of.at), f.redisAway(last.at-margin, i.at):
	default:
		f.breaksLocked("%s is executed again, by %s at %s, though nothing befell %s, which has executed it since %s",
			i.of, i.by.name, i.at, last.by.name, last.at)
	}
}

// redisAway tells whether Redis was unreachable for all sites at some time.
func (f *fleet) redisAway(from, to time.Duration) bool {
	for _, w := range f.plan.away {
		if w.from <= to && from <= w.to {
			return true
		}
	}
	return f.plan.rates.redis > 0
}

// checkRebuilt looks for a reason why a layer was built again.
func (f *fleet) checkRebuilt(s run.Script, before []*layerBuild, b *layerBuild) {
	if len(before) == 0 {
		return
	}
	const margin = 20 * time.Second // for leases that could not be renewed
	last := before[len(before)-1]
	f.bmu.Lock()
	defer f.bmu.Unlock()
	switch {
	case last.done && last.err != nil:
	case last.by.hurtBetween(last.began-margin, b.began), b.by.hurtBetween(last.began-margin, b.began):
	case f.forgotSince(last.began - margin), f.redisAway(last.began-margin, b.began):
	case f.plan.rates.throttled > 0 || f.plan.rates.broken > 0: // its publish may have failed
	default:
		f.breaksLocked("%s builds the layer of %s again, though nothing befell %s, which began at %s",
			b.by.name, s.Requirements, last.by.name, last.began)
	}
}

// twin records a message that is delivered twice at once.
func (f *fleet) twin(id string) bool {
	f.bmu.Lock()
	defer f.bmu.Unlock()
	f.twins[id] = true
	return true
}

// received records which site holds a delivery.
func (f *fleet) received(s *site, d queue.Delivery) {
	f.log(s.name, "receives %s, for the %dth time", d.MessageID, d.ReceiveCount)
	f.bmu.Lock()
	defer f.bmu.Unlock()
	if s.kind == "dispatcher" {
		r, _ := policy.Decode(d.Body, epoch)
		f.dispatched[r.Key]++
	}
	if other := f.inHand[d.MessageID]; other != nil && f.plan.calm && !f.twins[d.MessageID] {
		f.breaksLocked("%s comes to %s while %s has it in hand", d.MessageID, s.name, other.name)
	}
	f.inHand[d.MessageID] = s
}

// settled records that deliveries are no longer held.
func (f *fleet) settled(ds []queue.Delivery) {
	f.bmu.Lock()
	defer f.bmu.Unlock()
	for _, d := range ds {
		delete(f.inHand, d.MessageID)
	}
}

var errUnbalanced = errors.New("the books don't balance")
