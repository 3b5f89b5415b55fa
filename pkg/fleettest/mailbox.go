package fleettest

import (
	"context"
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
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// MailboxConfig configures a Mailbox.
type MailboxConfig struct {
	AWS    aws.Config
	Bucket string
	SQS    []func(*sqs.Options) // options for an SQS other than AWS's
	// Foreign accepts claim checks whose keys name no tenant, for an SQS that
	// does not return the group of a message.
	Foreign bool
}

// Mailbox is a story's end of the queues. It receives all results, and checks
// that each belongs to the tenant that it names.
type Mailbox struct {
	Dead queue.Queue // dead letters of requests without a tenant

	cfg      MailboxConfig
	requests queue.Queue
	stop     context.CancelFunc
	done     chan struct{}

	mu   sync.Mutex
	came map[string][]Arrival // by the request's id
	errs []error
}

// Arrival is a received result.
type Arrival struct {
	run.Result
	Body       []byte
	Group      string
	Attributes map[string]string
}

// OpenMailbox returns a mailbox that receives results until Close.
func OpenMailbox(cfg MailboxConfig) (*Mailbox, error) {
	m := &Mailbox{cfg: cfg, came: map[string][]Arrival{}, done: make(chan struct{})}
	var errRequests, errDead error
	m.requests, errRequests = m.Open("requests", "requests")
	m.Dead, errDead = m.Open("requests-dlq", "requests")
	results, errResults := m.Open("results", "results")
	if err := errors.Join(errRequests, errDead, errResults); err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, m.stop = context.WithCancel(context.Background())
	go func() { defer close(m.done); m.consume(ctx, results) }()
	return m, nil
}

// Open opens one of the fleet's queues; its large bodies are below the prefix.
func (m *Mailbox) Open(name, prefix string) (queue.Queue, error) {
	q, err := sqsqueue.Open(context.Background(), sqsqueue.NewClient(m.cfg.AWS, m.cfg.SQS...), "scriptfleet-"+name)
	if err != nil {
		return nil, err
	}
	store := Bucket(m.cfg.AWS, m.cfg.Bucket)
	return claimcheck.Wrap(q, store, claimcheck.Config{Prefix: "scriptfleet/" + prefix, Foreign: m.cfg.Foreign}), nil
}

// Bucket is a bucket of the fleet's S3.
func Bucket(cfg aws.Config, name string) *s3store.Store {
	return s3store.New(s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), name)
}

// Close stops receiving, and fails if a result broke a rule of all results.
func (m *Mailbox) Close() error {
	m.stop()
	<-m.done
	return errors.Join(m.errs...)
}

func (m *Mailbox) consume(ctx context.Context, results queue.Queue) {
	for ctx.Err() == nil {
		ds, err := results.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: time.Minute})
		if err != nil {
			if ctx.Err() == nil {
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

func (m *Mailbox) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs = append(m.errs, err)
}

// take records a result and checks the rules of all results: group, attribute
// and event name the same tenant, and the event's id is the run's.
func (m *Mailbox) take(d queue.Delivery) {
	res, err := run.DecodeResult(d.Body)
	if err != nil {
		m.note(fmt.Errorf("message %s: %w", d.MessageID, err))
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
	m.came[res.Subject] = append(m.came[res.Subject], Arrival{res, d.Body, d.Group, d.Attributes})
}

// Send puts bodies on the requests queue.
func (m *Mailbox) Send(t testing.TB, bodies ...string) {
	t.Helper()
	messages := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		messages[i] = queue.Message{Body: []byte(body)}
	}
	if err := errors.Join(m.requests.Send(t.Context(), messages)...); err != nil {
		t.Fatalf("send requests: %v", err)
	}
}

// Await waits for the first result of the request.
func (m *Mailbox) Await(t testing.TB, id string) Arrival {
	t.Helper()
	wait.Until(t, Within, "no result of "+id, func() bool { return len(m.Results(id)) > 0 })
	return m.Results(id)[0]
}

// AwaitOf is Await for an id that several tenants use.
func (m *Mailbox) AwaitOf(t testing.TB, tenant, id string) Arrival {
	t.Helper()
	wait.Until(t, Within, "no result of "+tenant+"/"+id, func() bool { return len(m.ResultsOf(tenant, id)) > 0 })
	return m.ResultsOf(tenant, id)[0]
}

// Results are the results of the request so far.
func (m *Mailbox) Results(id string) []Arrival {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.came[id])
}

// ResultsOf are the results of the tenant's request so far.
func (m *Mailbox) ResultsOf(tenant, id string) []Arrival {
	return slices.DeleteFunc(m.Results(id), func(a Arrival) bool { return a.Tenant != tenant })
}

// Subjects are the ids of all requests that have a result.
func (m *Mailbox) Subjects() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.came))
}

// Buried waits for a dead letter that contains the mark, deletes it, and
// returns its reason.
func (m *Mailbox) Buried(t testing.TB, mark string) (kind string) {
	t.Helper()
	wait.Until(t, Within, "no dead letter with "+mark, func() bool {
		ds, err := m.Dead.Receive(t.Context(), queue.Poll{Max: queue.MaxBatch, Visibility: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			if strings.Contains(string(d.Body), mark) {
				kind = d.Attributes[run.AttributeErrorType]
				m.Dead.Delete(t.Context(), []queue.Delivery{d})
			}
		}
		return kind != ""
	})
	return kind
}
