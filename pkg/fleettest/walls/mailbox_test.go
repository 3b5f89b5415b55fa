package walls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/s3store"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// mailbox is the stories' end of the queues. It takes every result as it comes,
// and looks whether each is whose it says.
type mailbox struct {
	requests, dead queue.Queue
	stop           context.CancelFunc
	done           chan struct{}

	mu   sync.Mutex
	came map[string][]arrival // by tenant and the id of the request
	errs []error
	sent int
}

type arrival struct {
	run.Result
	body  []byte
	group string
}

func openQueue(name, prefix string) (queue.Queue, error) {
	q, err := sqsqueue.Open(context.Background(), sqsqueue.NewClient(root()), "scriptfleet-"+name)
	if err != nil {
		return nil, err
	}
	return claimcheck.Wrap(q, store(fleet.set["SCRIPTFLEET_BUCKET"]), claimcheck.Config{Prefix: "scriptfleet/" + prefix}), nil
}

func store(bucket string) *s3store.Store {
	return s3store.New(s3.NewFromConfig(root(), func(o *s3.Options) { o.UsePathStyle = true }), bucket)
}

func openMailbox() (*mailbox, error) {
	m := &mailbox{came: map[string][]arrival{}, done: make(chan struct{})}
	var errRequests, errDead error
	m.requests, errRequests = openQueue("requests", "requests")
	m.dead, errDead = openQueue("requests-dlq", "requests")
	results, errResults := openQueue("results", "results")
	if err := errors.Join(errRequests, errDead, errResults); err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, m.stop = context.WithCancel(context.Background())
	go func() { defer close(m.done); m.consume(ctx, results) }()
	return m, nil
}

// close ends the taking, and fails where a result was not whose it said.
func (m *mailbox) close() error {
	m.stop()
	<-m.done
	return errors.Join(m.errs...)
}

func (m *mailbox) consume(ctx context.Context, results queue.Queue) {
	for ctx.Err() == nil {
		ds, err := results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: time.Minute})
		if err != nil {
			if alive() == nil && ctx.Err() == nil {
				m.note(fmt.Errorf("receive results: %w", err))
			}
			return
		}
		for _, d := range ds {
			m.take(d)
		}
		if err := errors.Join(results.Delete(context.WithoutCancel(ctx), ds)...); err != nil {
			m.note(fmt.Errorf("delete results: %w", err))
		}
	}
}

func (m *mailbox) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs = append(m.errs, err)
}

// take files a result, and holds it to what all results promise: group,
// attribute and event name one tenant, and the event's id is that of the run.
func (m *mailbox) take(d queue.Delivery) {
	res, err := run.DecodeResult(d.Body)
	if err != nil {
		m.note(err)
		return
	}
	if d.Group != res.Tenant || d.Attributes[run.AttributeTenant] != res.Tenant || d.Attributes[run.AttributeStatus] != string(res.Data.Status) {
		m.note(fmt.Errorf("group %q and attributes %v of a result of %s, %s", d.Group, d.Attributes, res.Tenant, res.Data.Status))
	}
	if key := run.KeyOf(res.Tenant, res.Data.Story, res.Subject); res.ID != key {
		m.note(fmt.Errorf("the result's id is %s, the run's %s: %s", res.ID, key, d.Body))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := res.Tenant + "/" + res.Subject
	m.came[at] = append(m.came[at], arrival{res, d.Body, d.Group})
}

// post puts bodies on the requests queue.
func (m *mailbox) post(t *testing.T, bodies ...string) {
	t.Helper()
	messages := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		messages[i] = queue.Message{Body: []byte(body)}
	}
	if err := errors.Join(m.requests.Send(t.Context(), messages)...); err != nil {
		t.Fatalf("send requests: %v", err)
	}
}

// await waits for the result of the tenant's request.
func (m *mailbox) await(t *testing.T, tenant, id string) arrival {
	t.Helper()
	eventually(t, "no result of "+tenant+"/"+id, func() bool { return len(m.results(tenant, id)) > 0 })
	return m.results(tenant, id)[0]
}

func (m *mailbox) results(tenant, id string) []arrival {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.came[tenant+"/"+id])
}

// buried waits for a dead letter that holds the mark, and returns the reason.
func (m *mailbox) buried(t *testing.T, mark string) (kind string) {
	t.Helper()
	eventually(t, "no dead letter with "+mark, func() bool {
		ds, err := m.dead.Receive(t.Context(), queue.Poll{Max: queue.MaxBatch, Visibility: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			if strings.Contains(string(d.Body), mark) {
				kind = d.Attributes[run.AttributeErrorType]
				m.dead.Delete(t.Context(), []queue.Delivery{d})
			}
		}
		return kind != ""
	})
	return kind
}

// data is what requests of the tests say; what is empty is left out.
type data struct {
	Script       string `json:"script,omitempty"`
	Requirements string `json:"requirements,omitempty"`
	Input        any    `json:"input,omitempty"`
	Timeout      int    `json:"timeout_seconds,omitempty"`
	Credential   string `json:"credential,omitempty"`
	Action       string `json:"action,omitempty"`
	Run          string `json:"run,omitempty"`
}

const story = "/stories/walls"

func request(tenant, id string, d data) string {
	return event("scriptfleet.run.requested", tenant, story, id, d)
}

func event(kind, tenant, source, id string, d data) string {
	body, err := json.Marshal(map[string]any{"specversion": "1.0", "type": kind, "source": source, "id": id, "tenant": tenant, "data": d})
	if err != nil {
		panic(err) // the tests' own literals
	}
	return strings.ReplaceAll(string(body), "\ufffe", `\ufffe`) // which no queue takes
}

// run sends a run of the tenant, and waits for its result.
func (m *mailbox) run(t *testing.T, tenant string, d data) arrival {
	t.Helper()
	m.mu.Lock()
	m.sent++
	id := fmt.Sprintf("%s-%d", t.Name(), m.sent)
	m.mu.Unlock()
	m.post(t, request(tenant, id, d))
	return m.await(t, tenant, id)
}

// runner is one script for all attempts, so that each costs an invocation and
// no build: it runs the code that it is given.
const runner = `
def main(input):
    space = {}
    exec(input["code"], space)
    return space["attempt"](input)
`

// input of a runner: the code, and what attempt finds beside it.
func input(code string, with map[string]any) map[string]any {
	all := map[string]any{"code": code}
	for name, value := range with {
		all[name] = value
	}
	return all
}

// try runs the code as the tenant, which has to succeed: what did not is told
// in what attempt returns.
func try(t *testing.T, tenant, code string, with map[string]any, into any) arrival {
	t.Helper()
	res := fleet.run(t, tenant, data{Script: runner, Timeout: 30, Input: input(code, with)})
	if res.Data.Status != run.Succeeded {
		t.Fatalf("the attempt itself failed: %s", res.body)
	}
	decode(t, res.Data.Output, into)
	return res
}

// functionOf is the name of the function that a result came from.
func functionOf(r arrival) string {
	return run.FunctionName("scriptfleet", r.Tenant, r.Data.Function.ScriptHash)
}
