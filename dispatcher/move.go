package dispatcher

import (
	"context"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Cells are fleets that share the tenants, each in an account or a region of its
// own. Every tenant has one cell.
type Cells interface {
	// Of returns the name of the tenant's cell, or "" if that is this one.
	Of(tenant string) string
	// Others are the requests queues of all other cells, by name.
	Others() map[string]queue.Queue
}

// attributeMoved marks a request that another cell has sent here. It stays, so
// that it does not circle while the dispatchers of two cells are being told of a
// tenant's new cell one after the other.
const attributeMoved = "scriptfleet.moved"

// move sends a request to its tenant's cell, unless its run is known in this one:
// what began here ends here, so that nothing is lost and nothing is executed
// twice when a tenant moves. A cancellation goes where its run is. The body is
// sent on as it came. A crash before the request is deleted sends it again, and
// the other cell's ledger knows it.
//
// A run is executed in both cells if its tenant moves away and back, and its
// request is sent again then, since the first cell does not know it. It also is
// if SQS delivers its request twice at the same moment, once to a dispatcher
// that knows of the move and once to one that does not yet.
func (d *Dispatcher) move(ctx context.Context, r run.Run, delivery queue.Delivery) (moved bool, err error) {
	if d.deps.Cells == nil || delivery.Attributes[attributeMoved] != "" {
		return false, nil
	}
	to := d.deps.Cells.Of(r.Tenant)
	if to == "" {
		return false, nil
	}
	key := r.Key
	if r.Type == run.TypeCancelled {
		key = r.CancelsKey()
	}
	known, err := d.deps.Ledger.Lookup(ctx, key)
	if err != nil {
		return false, fmt.Errorf("look up run %s before it moves to cell %s: %w", key, to, err)
	}
	if known.State != ledger.Unknown {
		return false, nil
	}
	err = d.sendBy(ctx, d.cells[to], queue.Message{
		Body: delivery.Body, Group: r.Tenant, Attributes: map[string]string{attributeMoved: "1"}, TraceHeader: delivery.TraceHeader,
	})
	if err != nil {
		return false, fmt.Errorf("move a request of tenant %s to cell %s: %w", r.Tenant, to, err)
	}
	return true, nil
}
