package look

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Letter is a dead letter.
type Letter struct {
	ID       string    `json:"id"`
	Tenant   string    `json:"tenant,omitempty"`
	Run      string    `json:"run,omitempty"` // the id of its request
	Type     string    `json:"error_type,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Since    time.Time `json:"since"`
	Body     string    `json:"body,omitempty"`
	delivery queue.Delivery
}

// Letters are the dead letters of one queue of a fleet.
type Letters struct {
	queue queue.Queue
	fleet *wire.Fleet
	look  time.Duration
}

// OpenLetters opens the dead letters of the requests queue or of the partitions.
// A queue shows its messages in parts: look is how long each call of Each looks.
func OpenLetters(ctx context.Context, fleet *wire.Fleet, requests bool, look time.Duration) (*Letters, error) {
	open := fleet.PartitionDLQ
	if requests {
		open = fleet.RequestsDLQ
	}
	q, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return &Letters{queue: q, fleet: fleet, look: look}, nil
}

// Each calls f with every letter until f returns false or the time to look is
// over. Letters that f does not delete become visible again afterwards.
func (l *Letters) Each(ctx context.Context, f func(Letter) (bool, error)) error {
	var seen []queue.Delivery
	defer func() { l.queue.Extend(context.WithoutCancel(ctx), seen, 0) }()
	for deadline := time.Now().Add(l.look); time.Now().Before(deadline); {
		ds, err := l.queue.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: l.look + 10*time.Second})
		if err != nil {
			return fmt.Errorf("look at %s: %w", l.queue.Name(), err)
		}
		seen = append(seen, ds...)
		for _, d := range ds {
			if more, err := f(letterOf(d)); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func letterOf(d queue.Delivery) Letter {
	l := Letter{
		ID: d.MessageID, Type: d.Attributes[run.AttributeErrorType], Reason: d.Attributes[run.AttributeReason],
		Since: d.SentAt, Body: string(d.Body), delivery: d,
	}
	var event struct{ Tenant, ID string }
	if json.Unmarshal(d.Body, &event) == nil {
		l.Tenant, l.Run = event.Tenant, event.ID
	}
	if l.Reason == "" {
		l.Reason = "received too often; a worker answers for it within a minute"
	}
	return l
}

// Choice selects letters.
type Choice struct {
	IDs  []string
	Type string // of their reason
	All  bool
}

// Pick calls do with the chosen letters, each once. Missed is how many of the
// named letters were not seen.
func (l *Letters) Pick(ctx context.Context, c Choice, do func(Letter) error) (missed int, err error) {
	wanted := map[string]bool{}
	for _, id := range c.IDs {
		wanted[id] = true
	}
	done := map[string]bool{} // a queue may return a letter twice
	err = l.Each(ctx, func(found Letter) (bool, error) {
		if done[found.ID] || !c.All && !wanted[found.ID] && (c.Type == "" || found.Type != c.Type) {
			return true, nil
		}
		if err := do(found); err != nil {
			return false, err
		}
		done[found.ID] = true
		delete(wanted, found.ID)
		return c.All || c.Type != "" || len(wanted) > 0, nil
	})
	return len(wanted), err
}

// Delete deletes a letter that Each or Pick has found, for good.
func (l *Letters) Delete(ctx context.Context, found Letter) error {
	if err := l.queue.Delete(ctx, []queue.Delivery{found.delivery})[0]; err != nil {
		return fmt.Errorf("delete letter %s: %w", found.ID, err)
	}
	return nil
}

// Redriven is a letter that was sent again.
type Redriven struct {
	Letter string `json:"letter"`
	Run    string `json:"run,omitempty"` // the id that it goes under
}

// Answered tells whether the letter's run has its result: then it goes again
// under a new id.
func (l Letter) Answered() bool { return l.Type == "DeadLettered" }

// Redrive sends a letter that Each or Pick has found to the requests queue, and
// then deletes it.
func (l *Letters) Redrive(ctx context.Context, found Letter) (Redriven, error) {
	requests, err := l.fleet.Requests(ctx)
	if err != nil {
		return Redriven{}, err
	}
	body, id := found.delivery.Body, ""
	if found.Answered() {
		if body, id, err = withNewID(body); err != nil {
			return Redriven{}, fmt.Errorf("letter %s: %w", found.ID, err)
		}
	}
	err = requests.Send(ctx, []queue.Message{{Body: body, Group: found.delivery.Group}})[0]
	if err == nil {
		err = l.queue.Delete(ctx, []queue.Delivery{found.delivery})[0]
	}
	if err != nil {
		return Redriven{}, fmt.Errorf("send letter %s again: %w", found.ID, err)
	}
	return Redriven{Letter: found.ID, Run: id}, nil
}

// withNewID is the request with a new, unused id.
func withNewID(body []byte) (_ []byte, id string, err error) {
	var event map[string]json.RawMessage
	if err := json.Unmarshal(body, &event); err != nil {
		return nil, "", fmt.Errorf("read the request: %w", err)
	}
	if err := json.Unmarshal(event["id"], &id); err != nil {
		return nil, "", fmt.Errorf("read the request's id: %w", err)
	}
	id += "-again-" + rand.Text()[:8]
	if event["id"], err = json.Marshal(id); err != nil {
		return nil, "", err
	}
	body, err = json.Marshal(event)
	return body, id, err
}
