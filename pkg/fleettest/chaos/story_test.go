package chaos

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// story sends requests, collects results, and records what should have happened
// and which calls the taps saw. It does not use the taps itself.
type story struct {
	t                 *testing.T
	requests, results queue.Queue
	runtime           string

	mu       sync.Mutex
	sent     []sent            // run n is the n-th
	envs     int               // number of envs of all plans
	ended    map[string]ending // by the request's id
	invoked  map[int]int       // how often each run may have executed, by n
	receipts []receipt
	made     map[string]int // how often each function and layer was made, by name
	repeated int            // number of repeated results
	differ   []string       // repeated results that differ from the first
}

// receipt is a worker's receive of a run from a partition.
type receipt struct {
	by string
	id string
	at time.Time
}

// sent is a request that was sent.
type sent struct {
	id       string
	script   int
	delivery run.DeliveryMode
}

// ending is the first result of a request.
type ending struct {
	run.Result
	body    []byte
	attempt int // the greatest that it, or a result after it, tells
}

func newStory(t *testing.T, cfg aws.Config, names queue.Names) *story {
	t.Helper()
	s := &story{
		t: t, runtime: newestRuntime(t), ended: map[string]ending{}, invoked: map[int]int{}, made: map[string]int{},
	}
	client := sqsqueue.NewClient(cfg)
	var err error
	if s.requests, err = sqsqueue.Open(t.Context(), client, names.Requests); err != nil {
		t.Fatal(err)
	}
	if s.results, err = sqsqueue.Open(t.Context(), client, names.Results); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var collecting sync.WaitGroup
	collecting.Go(func() { s.collect(ctx) })
	t.Cleanup(func() { cancel(); collecting.Wait() })
	return s
}

// plan describes the requests to send.
type plan struct {
	runs, scripts int
	envs          int              // this many scripts have a requirement, all the same one
	imports       bool             // those scripts import it
	takes         float64          // seconds that a script sleeps
	timeout       int              // of the scripts, in seconds; default 10, or twice takes
	delivery      run.DeliveryMode // of every second run of each script
}

// send sends a plan's requests, for the scripts of all plans so far.
func (s *story) send(p plan) {
	s.t.Helper()
	s.envs = max(s.envs, p.envs)
	var batch []queue.Message
	for i := range p.runs {
		s.mu.Lock()
		r := sent{id: fmt.Sprintf("run-%d", len(s.sent)), script: i % p.scripts}
		if i/p.scripts%2 == 1 {
			r.delivery = p.delivery
		}
		n := len(s.sent)
		s.sent = append(s.sent, r)
		s.mu.Unlock()
		batch = append(batch, queue.Message{Group: "acme", Body: s.encode(p, r, n)})
	}
	for len(batch) > 0 {
		n := min(len(batch), queue.MaxBatch)
		s.deliver(batch[:n])
		batch = batch[n:]
	}
}

func (s *story) encode(p plan, r sent, n int) []byte {
	s.t.Helper()
	request := run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/chaos", ID: r.id, Tenant: "acme",
		Data: run.RequestData{
			Script: fmt.Sprintf("import time\ndef main(input):\n    time.sleep(%v)\n    return {'script': %d, 'n': input['n']}\n", p.takes, r.script),
			Input:  json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)), Runtime: s.runtime, Delivery: r.delivery,
		},
	}
	if p.imports && r.script < p.envs {
		request.Data.Script = "import idna\n" + request.Data.Script
	}
	request.Data.TimeoutSeconds = cmp.Or(p.timeout, max(10, int(2*p.takes)))
	if r.script < p.envs {
		request.Data.Requirements = "idna==3.10\n"
	}
	body, err := request.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	return body
}

// deliver retries until all are sent, with the same ids, as a story does.
func (s *story) deliver(batch []queue.Message) {
	s.t.Helper()
	wait.Until(s.t, within, "the requests can't be sent", func() bool {
		var failed []queue.Message
		for i, err := range s.requests.Send(s.t.Context(), batch) {
			if err != nil {
				failed = append(failed, batch[i])
			}
		}
		batch = failed
		return len(batch) == 0
	})
}

// collect takes results until ctx ends.
func (s *story) collect(ctx context.Context) {
	for ctx.Err() == nil {
		ds, err := s.results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: time.Minute})
		if err != nil {
			continue
		}
		for _, d := range ds {
			s.take(d.Body)
		}
		s.results.Delete(context.WithoutCancel(ctx), ds)
	}
}

func (s *story) take(body []byte) {
	res, err := run.DecodeResult(body)
	if err != nil {
		s.t.Errorf("a result that is none: %v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was, again := s.ended[res.Subject]
	if !again {
		s.ended[res.Subject] = ending{res, body, res.Data.Attempt}
		return
	}
	s.repeated++
	was.attempt = max(was.attempt, res.Data.Attempt)
	s.ended[res.Subject] = was
	if !bytes.Equal(was.body, body) {
		s.differ = append(s.differ, fmt.Sprintf("%s\nand then\n%s", was.body, body))
	}
}

// count is the number of runs with a result.
func (s *story) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ended)
}

// await waits until n runs have results; 0 means all.
func (s *story) await(n int) {
	s.t.Helper()
	if n == 0 {
		n = len(s.sent)
	}
	limit := within + time.Duration(len(s.sent))*200*time.Millisecond
	if !wait.Soon(limit, func() bool { return s.count() >= n }) {
		s.t.Fatalf("%d of %d results have come within %s", s.count(), n, limit)
	}
}

var (
	nOf  = regexp.MustCompile(`"n":(\d+)`)
	idOf = regexp.MustCompile(`\brun-\d+\b`)
)

// saw records a call from a tap. Only a successful call has made something;
// only a refused invocation has certainly not executed.
func (s *story) saw(c call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.op == "CreateFunction" && c.status == 201:
		var f struct{ FunctionName string }
		_ = json.Unmarshal([]byte(c.answer), &f)
		s.made[f.FunctionName]++
	case c.op == "PublishLayerVersion" && c.status == 201:
		s.made[c.target]++
	case c.op == "ReceiveMessage" && strings.Contains(c.target, "-partition-"):
		for _, id := range idOf.FindAllString(c.answer, -1) {
			s.receipts = append(s.receipts, receipt{c.by, id, time.Now()})
		}
	case c.op == "Invoke" && (c.status < 400 || c.status >= 500):
		if m := nOf.FindStringSubmatch(c.body); m != nil {
			n, _ := strconv.Atoi(m[1])
			s.invoked[n]++
		}
	}
}
