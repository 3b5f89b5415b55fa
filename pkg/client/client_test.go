package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// answer puts the result of a request on the results queue, as a fleet does.
func answer(c *client.Client, r run.Request, output string) {
	res := run.Run{Request: r, Key: run.KeyOf(r.Tenant, r.Source, r.ID)}.Result(run.Succeeded, time.Now())
	res.Data.Output = json.RawMessage(output)
	body, err := res.Encode()
	if err != nil {
		panic(err)
	}
	c.Results.Send(context.Background(), []queue.Message{{Body: body, Group: r.Tenant}})
}

func requestOf(id int) run.Request {
	return run.Request{Tenant: "acme", Source: "/stories/x", ID: fmt.Sprint(id)}
}

// consume handles results for a time, in which a result can come again several
// times, and returns what was reported.
func consume(t *testing.T, c *client.Client, handle client.Handler) (reported []error) {
	t.Helper()
	var mu sync.Mutex
	c.Report = func(err error) {
		mu.Lock()
		defer mu.Unlock()
		reported = append(reported, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := c.Consume(ctx, handle); err != nil {
		t.Fatal(err)
	}
	return reported
}

func left(t *testing.T, c *client.Client) int {
	t.Helper()
	d, err := c.Results.Depth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d.Total()
}

func TestARequestIsSentWithItsTenantAsGroup(t *testing.T) {
	c := inMemory()
	if errs := c.Send(t.Context(), requestOf(1), run.Request{ID: "2"}, requestOf(3)); errs[0] != nil || !errors.Is(errs[1], client.ErrNotAnswerable) || errs[2] != nil {
		t.Fatal(errs)
	}
	ds, err := c.Requests.Receive(t.Context(), queue.Poll{Max: queue.MaxBatch, Visibility: time.Minute})
	if err != nil || len(ds) != 2 || ds[0].Group != "acme" || ds[1].Group != "acme" {
		t.Fatalf("%d requests, %v: %+v", len(ds), err, ds)
	}
}

func TestAResultIsDeletedOnceItWasHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory()
		answer(c, requestOf(1), "1")
		var handled []string
		reported := consume(t, c, func(_ context.Context, r client.Received) error {
			handled = append(handled, r.Subject)
			if len(handled) < 3 {
				return errors.New("the database is away")
			}
			return nil
		})
		if !slices.Equal(handled, []string{"1", "1", "1"}) || left(t, c) != 0 {
			t.Errorf("handled %v, %d left", handled, left(t, c))
		}
		if len(reported) != 2 {
			t.Errorf("reported %v", reported)
		}
	})
}

func TestAResultOfAnotherConsumerIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory()
		answer(c, requestOf(1), "1")
		first := time.Now()
		var again time.Duration
		reported := consume(t, c, func(context.Context, client.Received) error {
			if since := time.Since(first); since > 0 && again == 0 {
				again = since
			}
			return client.ErrNotMine
		})
		if left(t, c) != 1 || len(reported) != 0 || again == 0 || again > 3*time.Second {
			t.Errorf("%d left, reported %v, again after %v", left(t, c), reported, again)
		}
	})
}

func TestAMessageThatIsNoResultIsReportedAndLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory()
		c.Results.Send(t.Context(), []queue.Message{{Body: []byte("no result")}})
		answer(c, requestOf(1), "1")
		var handled int
		reported := consume(t, c, func(context.Context, client.Received) error { handled++; return nil })
		if handled != 1 || left(t, c) != 1 || len(reported) == 0 {
			t.Errorf("handled %d, %d left, reported %v", handled, left(t, c), reported)
		}
	})
}

func TestAHandlerThatHasBegunEndsAfterItsConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory()
		answer(c, requestOf(1), "1")
		ctx, stop := context.WithCancel(t.Context())
		err := c.Consume(ctx, func(ctx context.Context, _ client.Received) error {
			stop()
			return ctx.Err()
		})
		if err != nil || left(t, c) != 0 {
			t.Errorf("%v, %d left", err, left(t, c))
		}
	})
}

// Copies come at the same time to many polls, and after another.
func TestOnceHandlesEachResultOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory()
		c.Pollers = 4
		for n := range 100 {
			answer(c, requestOf(n%20), "1")
		}
		handled := make(chan string, 1000)
		fails := make(chan bool, 5) // the first five calls fail
		consume(t, c, client.Once(client.Recent(20), func(_ context.Context, r client.Received) error {
			time.Sleep(100 * time.Millisecond)
			select {
			case fails <- true:
				return errors.New("not yet")
			default:
			}
			handled <- r.Subject
			return nil
		}))
		if len(handled) != 20 || left(t, c) != 0 {
			t.Errorf("%d of 20 results were handled, %d left", len(handled), left(t, c))
		}
	})
}

func TestRecentForgetsTheOldestOnly(t *testing.T) {
	seen := client.Recent(2)
	for _, id := range []run.Key{"a", "b", "b", "c"} {
		if err := seen.Add(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[run.Key]bool{"a": false, "b": true, "c": true} {
		if has, err := seen.Has(t.Context(), id); err != nil || has != want {
			t.Errorf("Has(%s) = %v, %v", id, has, err)
		}
	}
}
