package dispatcher

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// books compares what the ledger says is open with what the queues hold, by the
// formula of `scriptfleet check`:
//
//	missing = open − messages on partitions and side, in any state
//	               − dead letters of the partitions
//	               − requests in flight
//
// A run that a worker holds, or held when it was killed, is in flight on its
// partition. One that was accepted and is not yet sent is in flight on the
// requests queue.
//
// The ledger is read before and after the queues, and the smaller count is taken:
// then neither runs that begin nor runs that end between two reads are missing.
// What is left is that SQS counts approximately. So a positive count means
// nothing, and one that stays positive means that runs are lost; the alert waits.
//
// Where anything can't be read, nothing is said: the series ends until all can be.
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

// read is nil where the ledger is out of reach.
func (b *books) read(ctx context.Context) *ledger.Books {
	ctx, cancel := context.WithTimeout(ctx, booksWithin)
	defer cancel()
	kept, err := b.ledger.Books(ctx)
	if err != nil {
		return nil
	}
	return &kept
}

// show compares; held is nil where a queue could not be looked at.
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

// holds is how many open runs a queue can hold, by its label.
func holds(label string, d queue.Depth) int {
	switch label {
	case labelRequests:
		return d.InFlight
	case labelRequestsDLQ, labelResults:
		return 0
	}
	return d.Total()
}
