package dispatcher

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// books compares the ledger's count of open runs with the contents of the
// queues, by the formula of `scriptfleet check`:
//
//	missing = open − messages on partitions and side, in any state
//	               − dead letters of the partitions
//	               − requests in flight
//
// A run that a worker holds, or held when it was killed, is in flight on its
// partition. A run that was accepted and not yet sent is in flight on the
// requests queue.
//
// The ledger is read before and after the queues, and the smaller count is
// used: so runs that begin or end between two reads are not missing. SQS's
// counts are approximate, so a positive figure alone means nothing; one that
// stays positive means lost runs. The alert therefore waits.
//
// If a read fails, the series ends until all reads succeed again.
type books struct {
	ledger Ledger
	gauge  *prometheus.GaugeVec
}

// booksWithin bounds one read of the ledger.
const booksWithin = 3 * time.Second

func newBooks(l Ledger, reg prometheus.Registerer) *books {
	return &books{ledger: l, gauge: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "scriptfleet_books_runs",
		Help: "Runs by the ledger's books: accepted, finished, open, and missing: open, and on no queue.",
	}, []string{"count"})}
}

// read returns nil if the ledger is out of reach.
func (b *books) read(ctx context.Context) *ledger.Books {
	ctx, cancel := context.WithTimeout(ctx, booksWithin)
	defer cancel()
	kept, err := b.ledger.Books(ctx)
	if err != nil {
		return nil
	}
	return &kept
}

// show sets the metrics; held is nil if a queue could not be read.
func (b *books) show(before, after *ledger.Books, held *int) {
	if before == nil || after == nil || held == nil {
		b.gauge.Reset()
		return
	}
	set := func(count string, n int64) { b.gauge.WithLabelValues(count).Set(float64(n)) }
	set("accepted", after.Accepted)
	set("finished", after.Accepted-after.Open)
	set("open", after.Open)
	set("missing", max(0, min(before.Open, after.Open)-int64(*held)))
}

// holds is how many open runs a queue with this label can hold.
func holds(label string, d queue.Depth) int {
	switch label {
	case labelRequests:
		return d.InFlight
	case labelRequestsDLQ, labelResults:
		return 0
	}
	return d.Total()
}
