package fleettest

import (
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// fleet is an embedded stack as a process, and its clients.
type fleet struct {
	*Mailbox
	t     *testing.T
	local *process.Process
	set   Settings
}

// startStack starts the embedded stack only.
func startStack(t *testing.T) *fleet {
	t.Helper()
	return launch(t, shipped, "--no-fleet").withMailbox()
}

// startFleet starts the embedded stack with a dispatcher and a worker inside.
func startFleet(t *testing.T, args ...string) *fleet {
	t.Helper()
	return launchFleet(t, args...).withMailbox()
}

// launchFleet is startFleet for a test that consumes the results itself.
func launchFleet(t *testing.T, args ...string) *fleet {
	t.Helper()
	return launch(t, checked, append([]string{"--partitions", "2", "--poll-wait", "1s"}, args...)...)
}

func launch(t *testing.T, dir string, args ...string) *fleet {
	t.Helper()
	local, set := StartLocal(t, dir, program.Environment(ofTheTests()...), args...)
	return &fleet{t: t, local: local, set: set}
}

func (f *fleet) withMailbox() *fleet {
	f.t.Helper()
	f.Mailbox = f.openMailbox()
	return f
}

// openMailbox opens a mailbox that is closed with the test. It waits for queues
// that a process is about to create.
func (f *fleet) openMailbox(opts ...func(*sqs.Options)) *Mailbox {
	f.t.Helper()
	var m *Mailbox
	eventually(f.t, "the queues cannot be opened", func() (opened bool) {
		var err error
		m, err = OpenMailbox(MailboxConfig{AWS: f.set.Config(), Bucket: f.set["SCRIPTFLEET_BUCKET"], SQS: opts, Foreign: true})
		if err != nil && !errors.As(err, new(*types.QueueDoesNotExist)) {
			f.t.Fatal(err)
		}
		return err == nil
	})
	f.t.Cleanup(func() {
		if err := m.Close(); err != nil {
			f.t.Error(err)
		}
	})
	return m
}

// send puts requests on the stack's queue.
func (f *fleet) send(bodies ...string) { f.t.Helper(); f.Send(f.t, bodies...) }

// goesOn sends a good run and waits for its success, which shows that the fleet
// still works.
func (f *fleet) goesOn(t *testing.T) {
	t.Helper()
	id := "good-after-" + t.Name()
	f.send(request(id, Data{Script: "def main(input):\n    return {'got': input['n']}", Input: map[string]int{"n": 5}}))
	if res := f.Await(t, id); res.Data.Status != run.Succeeded || string(res.Data.Output) != `{"got": 5}` {
		t.Errorf("a good run afterwards: %s", res.Body)
	}
}

// request is a request of tenant acme.
func request(id string, d Data) string { return Request("acme", id, d) }

func event(tenant, id, data string) string {
	return Event(run.TypeRequested, tenant, Story, id, data)
}

// env is the environment of a process that uses the fleet.
func (f *fleet) env(more ...string) []string { return f.set.Env(ofTheTests(more...)...) }

// dispatcher starts a dispatcher as a process.
func (f *fleet) dispatcher(args ...string) *process.Process {
	f.t.Helper()
	return f.process("dispatcher", nil, args...)
}

// worker starts a worker as a process, with its own layer cache.
func (f *fleet) worker(args ...string) *process.Process {
	f.t.Helper()
	return f.workerWith(nil, args...)
}

// workerWith starts a worker with more variables.
func (f *fleet) workerWith(env []string, args ...string) *process.Process {
	f.t.Helper()
	return f.process("worker", env, append([]string{"--cache-dir", f.t.TempDir()}, args...)...)
}

func (f *fleet) process(name string, env []string, args ...string) *process.Process {
	f.t.Helper()
	args = append([]string{"--admin-addr", "127.0.0.1:0", "--poll-wait", "1s"}, args...)
	p := process.Start(f.t, f.env(env...), filepath.Join(shipped, name), args...)
	p.Admin()
	return p
}

// functions are the names of the functions in the embedded Lambda.
func (f *fleet) functions() (names []string) {
	f.t.Helper()
	client := lambda.NewFromConfig(f.set.Config())
	pages := lambda.NewListFunctionsPaginator(client, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		for _, fn := range page.Functions {
			names = append(names, *fn.FunctionName)
		}
	}
	return names
}

// metric is the value of a series on the metrics page of an admin address;
// series is its name with labels, as on the page.
func metric(t *testing.T, admin, series string) float64 {
	t.Helper()
	_, page := get(t, admin, "/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("there is no metric %s", series)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// get fetches a page of an admin address.
func get(t *testing.T, admin, path string) (code int, page string) {
	t.Helper()
	resp, err := http.Get("http://" + admin + path)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answered(t, resp)
}

// answered is the body of an answer.
func answered(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
