package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/progress"
	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

type recordCommand struct {
	config.Named
	config.Partitioned
	config.Large
	Queue   string        `enum:"requests,partitions,dead-letters," default:"" placeholder:"QUEUE" help:"Copy what is on a queue of the fleet: requests, partitions or dead-letters."`
	Results string        `placeholder:"FILE" help:"Make requests from result events in a file, one a line; - reads them from standard input."`
	For     time.Duration `default:"10s" min:"1s" max:"24h" help:"How long to look at the queue."`
	Redact  bool          `help:"Replace what is in the inputs: texts by as many x, numbers by 0. Names stay."`
	Output  string        `short:"o" type:"path" help:"Write the batch to this file; to standard output by default."`
}

// Help is shown below the flags.
func (recordCommand) Help() string {
	return `Writes a batch for scriptfleet replay: one request a line, in the order in which they were sent, each with its time.

From a queue it copies requests and leaves them there. A queue shows its messages in parts, and what it shows is hidden from the fleet for about a second; so a copy of a busy queue is a sample, and its runs start a little later. What names no tenant, source and id is left out.

From results it makes scripts up, since a result has neither script nor input: a script sleeps for as long as the run executed, and fails if it had failed. Tenants, scripts, times and durations are those of the results.

Examples:

  scriptfleet record --queue requests --for 60s --redact -o batch.jsonl
  scriptfleet record --results saved.jsonl -o batch.jsonl
  scriptfleet replay batch.jsonl --speed 1`
}

func (c *recordCommand) Run(ctx context.Context) error {
	if (c.Queue == "") == (c.Results == "") {
		return exitError{exitUsage, errors.New("say from where: --queue or --results")}
	}
	recorder := &replay.Recorder{Redact: c.Redact}
	file, err := openOutput("--output", c.Output)
	if err != nil {
		return exitError{exitUsage, err}
	}
	if c.Queue != "" {
		err = c.fromQueue(ctx, recorder)
	} else {
		err = reading(c.Results, recorder.Results)
	}
	var batch bytes.Buffer
	if err == nil {
		err = recorder.Write(&batch)
	}
	if err != nil {
		return errors.Join(err, file.discard())
	}
	fmt.Fprintf(os.Stderr, "scriptfleet: %d requests\n", recorder.Len())
	if file == nil {
		_, err = os.Stdout.Write(batch.Bytes())
		return err
	}
	return file.write(batch.Bytes())
}

// fromQueue copies what the queues show until the time is over, or Ctrl-C.
func (c *recordCommand) fromQueue(ctx context.Context, recorder *replay.Recorder) error {
	fleet, err := operator{Named: c.Named}.open(ctx, config.Fleet{Partitioned: c.Partitioned, Large: c.Large})
	if err != nil {
		return err
	}
	defer fleet.Close()
	queues, err := c.queues(ctx, fleet)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, c.For)
	defer cancel()
	line := progress.Stderr()
	defer line.Stop()
	left := 0
	for i := 0; ctx.Err() == nil; i++ {
		n, err := copySome(ctx, queues[i%len(queues)], recorder)
		if err != nil {
			return err
		}
		left += n
		line.Say("%d requests recorded", recorder.Len())
	}
	if recorder.Len() == 0 && left > 0 {
		return fmt.Errorf("none of %d messages names a tenant, source and id", left)
	}
	return nil
}

func (c *recordCommand) queues(ctx context.Context, fleet *wire.Fleet) ([]queue.Queue, error) {
	one := func(open func(context.Context) (queue.Queue, error)) ([]queue.Queue, error) {
		q, err := open(ctx)
		return []queue.Queue{q}, err
	}
	switch c.Queue {
	case "requests":
		return one(fleet.Requests)
	case "dead-letters":
		return one(fleet.PartitionDLQ)
	}
	all, err := fleet.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	side, err := fleet.Side(ctx)
	return append(all, side), err
}

// shownFor is how long a copied message stays hidden from the fleet.
const shownFor = time.Second

// copySome records one receive's messages, and returns how many were left out. A
// poll that is cut off would leave messages hidden, so it is let finish.
func copySome(ctx context.Context, q queue.Queue, recorder *replay.Recorder) (left int, err error) {
	ctx = context.WithoutCancel(ctx)
	ds, err := q.Receive(ctx, queue.Poll{Max: queue.MaxBatch, Wait: time.Second, Visibility: 10 * time.Second})
	if err != nil {
		return 0, fmt.Errorf("look at %s: %w", q.Name(), err)
	}
	defer q.Extend(ctx, ds, shownFor)
	for _, d := range ds {
		kept, err := recorder.Request(d.Body, d.SentAt)
		if err != nil {
			return left, fmt.Errorf("record message %s of %s: %w", d.MessageID, q.Name(), err)
		}
		if !kept {
			left++
		}
	}
	return left, nil
}
