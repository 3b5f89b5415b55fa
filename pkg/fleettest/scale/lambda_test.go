package scale

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// The latencies of the model.
const (
	invokeTakes  = 4 * time.Millisecond // of Lambda itself, beside the script
	controlTakes = 300 * time.Millisecond
	pendingFor   = 700 * time.Millisecond
	layerTakes   = 3 * time.Second // the installer
	idleFor      = 10 * time.Minute
)

// initTakes is the init phase of a cold start, without and with a layer.
var initTakes = map[bool]time.Duration{false: 100 * time.Millisecond, true: 400 * time.Millisecond}

const (
	functionBytes = 20 << 10
	layerBytes    = 8 << 20
)

// lambda is the function service of one account: it executes nothing, and holds
// the account's limits.
type lambda struct {
	limits accountLimits

	mu        sync.Mutex
	functions map[string]*made
	layers    map[string]bool
	running   int
	control   perSecond // calls of the control plane, without GetFunction
	gets      perSecond // calls of GetFunction
	use       lambdaUse
	random    *rand.Rand
	begun     func(startedRun)
}

// lambdaUse is what the play did with the account.
type lambdaUse struct {
	invocations, coldStarts, throttled int
	controlThrottled                   int
	mostRunning                        int
	created, layers                    int
	seconds                            float64 // of execution
}

// made is a function with its idle environments, by when each was last used.
type made struct {
	activeAt time.Time
	layered  bool
	idle     []time.Time
}

// startedRun is a run at the moment when its script starts.
type startedRun struct {
	tenant string
	wait   time.Duration // since it was due
	isNew  bool          // the first runs of an edited script
}

func newLambda(limits accountLimits, seed uint64, begun func(startedRun)) *lambda {
	return &lambda{limits: limits, functions: map[string]*made{}, layers: map[string]bool{}, random: rand.New(rand.NewPCG(seed, 2)), begun: begun}
}

// prepare makes a function that exists before the play. It has no environment.
func (l *lambda) prepare(name string, layered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.functions[name] == nil {
		l.functions[name] = &made{layered: layered}
	}
}

func refuse(class function.Class, op, name, reason string) error {
	return &function.Error{Class: class, Op: op, Name: name, Reason: reason, Err: errors.New("the model refuses it")}
}

// Invoke implements function.Invoker.
func (l *lambda) Invoke(ctx context.Context, tenant, name string, payload []byte) (function.Invocation, error) {
	takes, begun := readInput(payload)
	begun.tenant = tenant
	init, err := l.begin(name)
	if err != nil {
		await(ctx, invokeTakes)
		return function.Invocation{}, err
	}
	await(ctx, invokeTakes/2+init)
	begun.wait += time.Duration(time.Now().UnixMicro()) * time.Microsecond
	l.begun(begun)
	await(ctx, takes+invokeTakes/2)
	l.end(name, takes+init)
	return function.Invocation{
		RequestID: "r", Report: function.Report{Init: init, Duration: takes, Billed: takes + init, MaxMemoryMB: 60},
		Payload: []byte(`{"output": null, "error": null, "stdout": "", "stderr": "", "truncated": false}`),
	}, nil
}

// begin takes an environment, or makes one, which takes as long as init.
func (l *lambda) begin(name string) (init time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, now := l.functions[name], time.Now()
	switch {
	case f == nil:
		return 0, refuse(function.NotFound, "Invoke", name, "ResourceNotFoundException")
	case f.activeAt.After(now):
		return 0, refuse(function.NotReady, "Invoke", name, "ResourceNotReadyException")
	case l.running >= l.limits.Concurrency:
		l.use.throttled++
		return 0, refuse(function.Throttled, "Invoke", name, "TooManyRequestsException/ConcurrentInvocationLimitExceeded")
	}
	l.running++
	l.use.invocations++
	l.use.mostRunning = max(l.use.mostRunning, l.running)
	if n := len(f.idle); n > 0 && now.Sub(f.idle[n-1]) < idleFor {
		f.idle = f.idle[:n-1]
		return 0, nil
	}
	f.idle = nil // all are older
	l.use.coldStarts++
	return initTakes[f.layered], nil
}

func (l *lambda) end(name string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.use.seconds += took.Seconds()
	l.functions[name].idle = append(l.functions[name].idle, time.Now())
}

// controlled counts a call of the control plane, which is refused above the
// account's rate.
func (l *lambda) controlled(ctx context.Context, op, name string) error {
	l.mu.Lock()
	over := !l.control.count(time.Now(), l.limits.Control)
	if over {
		l.use.controlThrottled++
	}
	l.mu.Unlock()
	await(ctx, controlTakes)
	if over {
		return refuse(function.Throttled, op, name, "TooManyRequestsException/CallerRateLimitExceeded")
	}
	return ctx.Err()
}

// FindLayer implements function.Maker, as the methods below do.
func (l *lambda) FindLayer(ctx context.Context, name string) (string, error) {
	if err := l.controlled(ctx, "FindLayer", name); err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.layers[name] {
		return "", refuse(function.NotFound, "FindLayer", name, "ResourceNotFoundException")
	}
	return layerARN(name), nil
}

func layerARN(name string) string { return "arn:aws:lambda:us-east-1:1:layer:" + name + ":1" }

func (l *lambda) PublishLayer(ctx context.Context, s function.LayerSpec) (string, error) {
	if err := l.controlled(ctx, "PublishLayer", s.Name); err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.layers[s.Name] = true
	l.use.layers++
	return layerARN(s.Name), nil
}

func (l *lambda) Create(ctx context.Context, s function.Spec) error {
	if err := l.controlled(ctx, "Create", s.Name); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.functions[s.Name] != nil {
		return refuse(function.Conflict, "Create", s.Name, "ResourceConflictException")
	}
	l.functions[s.Name] = &made{activeAt: time.Now().Add(pendingFor), layered: len(s.LayerARNs) > 0}
	l.use.created++
	return nil
}

// Await polls as often as the SDK's waiter: at once, and then every second.
func (l *lambda) Await(ctx context.Context, name string) error {
	for {
		l.mu.Lock()
		l.gets.count(time.Now(), l.limits.GetFunction)
		f := l.functions[name]
		l.mu.Unlock()
		switch {
		case f == nil:
			return refuse(function.NotFound, "Await", name, "ResourceNotFoundException")
		case !f.activeAt.After(time.Now()):
			return nil
		}
		if await(ctx, time.Second); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (l *lambda) Delete(ctx context.Context, name string) error {
	if err := l.controlled(ctx, "Delete", name); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.functions, name)
	return nil
}

func (l *lambda) List(context.Context) ([]function.Info, error) { return nil, nil }

// codeBytes is the code storage of everything that exists or existed before the
// play: functions that no run used in it count too.
func (l *lambda) codeBytes(functions, layers int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(functions+l.use.created)*functionBytes + int64(layers+l.use.layers)*layerBytes
}

// perSecond counts calls in seconds, and keeps the most of any.
type perSecond struct {
	second      int64
	n, most, of int
}

// count tells whether the call is within the limit.
func (p *perSecond) count(now time.Time, limit int) bool {
	if s := now.Unix(); s != p.second {
		p.second, p.n = s, 0
	}
	p.of++
	if p.n >= 2*limit { // of a bucket that holds a second's calls
		return false
	}
	p.n++
	p.most = max(p.most, p.n)
	return true
}

// readInput reads what request wrote into the input. wait is minus the due time,
// in microseconds since 1970.
func readInput(payload []byte) (takes time.Duration, s startedRun) {
	s.wait = -time.Duration(number(payload, "due")) * time.Microsecond
	s.isNew = member(payload, "new")[0] == 't'
	return time.Duration(number(payload, "us")) * time.Microsecond, s
}

// member returns what follows the first member of that name. Decoding JSON would
// cost more than the run.
func member(body []byte, name string) []byte {
	for rest := body; ; {
		_, after, ok := bytes.Cut(rest, []byte(name))
		if !ok {
			panic(fmt.Sprintf("no %s in %s", name, body))
		}
		before := rest[:len(rest)-len(after)-len(name)]
		if rest = after; bytes.HasSuffix(before, []byte{'"'}) && bytes.HasPrefix(after, []byte(`":`)) {
			return bytes.TrimLeft(after[2:], " ")
		}
	}
}

func number(body []byte, name string) int64 {
	digits := member(body, name)
	n, err := strconv.ParseInt(string(digits[:bytes.IndexAny(digits, ",}")]), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%s in %s: %v", name, body, err))
	}
	return n
}

func text(body []byte, name string) string {
	value := member(body, name)[1:]
	return string(value[:bytes.IndexByte(value, '"')])
}

func (l *lambda) nowRunning() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}
