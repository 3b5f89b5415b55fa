package fleettest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/s3store"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// mailbox is a story's end of the queues. It takes every result as it comes.
type mailbox struct {
	t        *testing.T
	requests queue.Queue
	dead     queue.Queue // requests that are nobody's

	mu   sync.Mutex
	came map[string][]arrival // by the id of the request
}

type arrival struct {
	run.Result
	body       []byte
	attributes map[string]string
	at         time.Time
}

func openMailbox(t *testing.T, cfg aws.Config, bucket string, opts ...func(*sqs.Options)) *mailbox {
	t.Helper()
	client := sqsqueue.NewClient(cfg, opts...)
	objects := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	open := func(name, prefix string) queue.Queue {
		q, err := sqsqueue.Open(t.Context(), client, "scriptfleet-"+name)
		if err != nil {
			t.Fatal(err)
		}
		return claimcheck.Wrap(q, s3store.New(objects, bucket), claimcheck.Config{Prefix: "scriptfleet/" + prefix, Foreign: true})
	}
	m := &mailbox{t: t, requests: open("requests", "requests"), dead: open("requests-dlq", "requests"), came: map[string][]arrival{}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	results := open("results", "results")
	go func() { defer close(done); m.consume(ctx, results) }()
	t.Cleanup(func() { stop(); <-done })
	return m
}

func (m *mailbox) consume(ctx context.Context, results queue.Queue) {
	for ctx.Err() == nil {
		ds, err := results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: time.Minute})
		if err != nil {
			if ctx.Err() == nil {
				m.t.Errorf("receive results: %v", err)
			}
			return
		}
		for _, d := range ds {
			res, err := run.DecodeResult(d.Body)
			if err != nil {
				m.t.Errorf("message %s: %v", d.MessageID, err)
			}
			m.mu.Lock()
			m.came[res.Subject] = append(m.came[res.Subject], arrival{res, d.Body, d.Attributes, time.Now()})
			m.mu.Unlock()
		}
		if err := errors.Join(results.Delete(context.WithoutCancel(ctx), ds)...); err != nil {
			m.t.Errorf("delete results: %v", err)
		}
	}
}

// send puts bodies on the requests queue.
func (m *mailbox) send(bodies ...string) {
	m.t.Helper()
	messages := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		messages[i] = queue.Message{Body: []byte(body)}
	}
	if err := errors.Join(m.requests.Send(m.t.Context(), messages)...); err != nil {
		m.t.Fatalf("send requests: %v", err)
	}
}

// await waits for the result of the request, the first one where there are more.
func (m *mailbox) await(t *testing.T, id string) arrival {
	t.Helper()
	eventually(t, "no result of "+id, func() bool { return len(m.results(id)) > 0 })
	return m.results(id)[0]
}

// results are those of the request so far.
func (m *mailbox) results(id string) []arrival {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.came[id])
}

// subjects are the ids of all requests that have a result.
func (m *mailbox) subjects() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.came))
}

// goesOn sends a run that is good, and waits until it has succeeded: the fleet
// has dealt with what came before, or at least goes on beside it.
func (m *mailbox) goesOn(t *testing.T) {
	t.Helper()
	id := "good-after-" + t.Name()
	m.send(request(id, data{Script: "def main(input):\n    return {'got': input['n']}", Input: map[string]int{"n": 5}}))
	if res := m.await(t, id); res.Data.Status != run.Succeeded || string(res.Data.Output) != `{"got": 5}` {
		t.Errorf("a good run afterwards: %s", res.body)
	}
}

// data is what requests of the tests say; what is empty is left out.
type data struct {
	Script       string `json:"script"`
	Runtime      string `json:"runtime,omitempty"`
	Requirements string `json:"requirements,omitempty"`
	Input        any    `json:"input,omitempty"`
	Timeout      any    `json:"timeout_seconds,omitempty"`
	Credential   string `json:"credential,omitempty"`
	Delivery     string `json:"delivery,omitempty"`
}

// request is an event of tenant acme.
func request(id string, d data) string { return requestOf("acme", id, d) }

func requestOf(tenant, id string, d data) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		panic(err) // the tests' own literals
	}
	return event(tenant, id, strings.TrimSpace(b.String()))
}

// event is the envelope around any data.
func event(tenant, id, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"scriptfleet.run.requested","source":"/stories/test","id":%q,"tenant":%q,"data":%s}`, id, tenant, data)
}
