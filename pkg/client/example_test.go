package client_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Two copies of one result are handled once.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	c := inMemory() // elsewhere: client.Open

	request := run.Request{Tenant: "acme", Source: "/stories/phishing-triage", ID: "01JD7", Data: run.RequestData{
		Script: "def main(input):\n    return input['n'] + 1",
		Input:  json.RawMessage(`{"n": 41}`),
	}}
	fmt.Println("sent:", c.Send(ctx, request))
	answer(c, request, `42`)
	answer(c, request, `42`) // as SQS may do

	copies := 0
	handle := client.Once(client.Recent(1000), func(_ context.Context, r client.Received) error {
		fmt.Println(r.Tenant, r.Subject, r.Data.Status, string(r.Data.Output))
		return nil
	})
	err := c.Consume(ctx, func(ctx context.Context, r client.Received) error {
		if copies++; copies == 2 {
			stop()
		}
		return handle(ctx, r)
	})
	fmt.Println(copies, "copies, error:", err)
	// Output:
	// sent: [<nil>]
	// acme 01JD7 succeeded 42
	// 2 copies, error: <nil>
}

// A request that no result could answer is not sent.
func ExampleClient_Send() {
	c := inMemory()
	errs := c.Send(context.Background(),
		run.Request{Source: "/stories/x", ID: "1", Data: run.RequestData{Script: "def main(input): pass"}},
	)
	fmt.Println(errs[0])
	// Output:
	// send request "1": client: the request has no valid tenant, source or id, so no result could answer it
}

// A cancellation has an id of its own, and names the request that it cancels by
// that request's id.
func ExampleClient_Send_cancel() {
	c := inMemory()
	errs := c.Send(context.Background(), run.Request{
		Type: run.TypeCancelled, Tenant: "acme", Source: "/stories/phishing-triage", ID: "01JD8",
		Data: run.RequestData{Run: "01JD7"},
	})
	fmt.Println(errs[0])
	// Output:
	// <nil>
}

func inMemory() *client.Client {
	return &client.Client{
		Requests: memqueue.New("scriptfleet-requests", memqueue.Options{}),
		Results:  memqueue.New("scriptfleet-results", memqueue.Options{}),
	}
}
