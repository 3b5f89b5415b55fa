package sqsqueue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/sqstest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/memqueue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// BenchmarkBatchOfTen measures each operation with a full batch: in memory, and
// over HTTP to the embedded stack in the same process.
func BenchmarkBatchOfTen(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchmark(b, memqueue.New("q", memqueue.Options{})) })
	b.Run("embedded", func(b *testing.B) {
		client := sqsqueue.NewClient(stack.Start(b, localaws.Config{}).AWSConfig())
		benchmark(b, sqstest.Open(b, client, "bench", nil))
	})
}

func benchmark(b *testing.B, q queue.Queue) {
	ms := make([]queue.Message, queue.MaxBatch)
	for i := range ms {
		ms[i] = queue.Message{Body: []byte(strings.Repeat("x", 1000)), Group: fmt.Sprint("tenant-", i)}
	}
	var took [4]time.Duration
	timed := func(op int, do func() error) {
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		took[op] += time.Since(began)
	}
	for b.Loop() {
		var ds []queue.Delivery
		timed(0, func() error { return errors.Join(q.Send(b.Context(), ms)...) })
		timed(1, func() (err error) {
			ds, err = q.Receive(b.Context(), queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: time.Minute})
			return err
		})
		timed(2, func() error { return errors.Join(q.Extend(b.Context(), ds, time.Minute)...) })
		timed(3, func() error { return errors.Join(q.Delete(b.Context(), ds)...) })
	}
	for op, name := range []string{"send", "receive", "extend", "delete"} {
		b.ReportMetric(float64(took[op].Microseconds())/float64(b.N), name+"-µs/batch")
	}
	b.ReportMetric(float64(b.N*len(ms))/b.Elapsed().Seconds(), "messages/s")
}
