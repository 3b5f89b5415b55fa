package wire

import (
	"context"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/probe"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/shape"
)

// Running is an assembled part of a process: how it runs, whether it takes
// work, and its dependencies besides Redis and SQS.
type Running struct {
	Part  service.Part
	Ready func() error
	Parts []probe.Part
}

// Dispatcher assembles a dispatcher.
func (f *Fleet) Dispatcher(ctx context.Context, p config.Process, d config.Dispatcher) (Running, error) {
	requests, err := f.Requests(ctx)
	if err != nil {
		return Running{}, err
	}
	partitions, err := f.Partitions(ctx)
	if err != nil {
		return Running{}, err
	}
	results, err := f.Results(ctx)
	if err != nil {
		return Running{}, err
	}
	dlq, err := f.RequestsDLQ(ctx)
	if err != nil {
		return Running{}, err
	}
	side, err := f.Side(ctx)
	if err != nil {
		return Running{}, err
	}
	partitionDLQ, err := f.PartitionDLQ(ctx)
	if err != nil {
		return Running{}, err
	}
	cells, err := f.cells(ctx, d)
	if err != nil {
		return Running{}, err
	}
	watch := f.watch(shape.Dispatcher, processName(), 0)
	running := dispatcher.New(dispatcher.Config{
		Pollers: d.Pollers, PollWait: p.PollWait, MaxLinger: &p.MaxLinger, MaxInHand: d.MaxInHand, MaxInHandBytes: d.MaxInHandMB << 20,
	}, dispatcher.Deps{
		Requests: requests, Partitions: partitions, Results: results, DeadLetter: dlq,
		Side: side, PartitionDeadLetter: partitionDLQ, Cells: cells, Turns: watch.Turns,
		Ledger: f.Ledger, Tenants: f.Tenants(), Scripts: f.resolver(), Policy: f.Policy, Traces: f.Traces, Log: f.Log, Registerer: f.Registry,
	})
	part := Running{service.Part{Name: "dispatcher", Run: running.Run}, running.Ready, append([]probe.Part{
		f.keepsPart(), queuePart("requests-queue", requests), queuePart("partition-queues", partitions...), queuePart("side-queue", side),
		queuePart("results-queue", results), queuePart("requests-dlq", dlq),
	}, f.s3Part("requests")...)}
	return f.announced(watch, part), nil
}
