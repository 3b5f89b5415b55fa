package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// naivePeer is the control: a process of Python for each message of a queue of
// the embedded stack, with eight receivers that take ten at a time.
type naivePeer struct {
	ends
	stack   *process
	python  string
	client  *sqs.Client
	queue   *string
	stop    context.CancelFunc
	workers sync.WaitGroup
}

func (n *naivePeer) start(ctx context.Context, h *harness) (err error) {
	n.python = h.python
	bin, err := h.build(ctx, "scriptfleet", "./cmd/scriptfleet")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(h.dir, "naive-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "env")
	if n.stack, err = launch(nil, bin, "local", "--no-fleet", "--json", "--aws-addr", "127.0.0.1:0", "--redis-addr", "127.0.0.1:0",
		"--admin-addr", "127.0.0.1:0", "--env-file", file); err != nil {
		return err
	}
	set := map[string]string{}
	if err := until(ctx, "scriptfleet local does not come up", func() bool { set = settings(file); return len(set) > 0 }); err != nil {
		return err
	}
	n.client = sqs.New(sqs.Options{
		Region: set["AWS_REGION"], BaseEndpoint: aws.String(set["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(set["AWS_ACCESS_KEY_ID"], set["AWS_SECRET_ACCESS_KEY"], ""),
	})
	made, err := n.client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("naive")})
	if err != nil {
		return err
	}
	n.queue = made.QueueUrl
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	for range 8 {
		n.workers.Go(func() { n.receive(ctx) })
	}
	return nil
}

func (n *naivePeer) receive(ctx context.Context) {
	for ctx.Err() == nil {
		got, err := n.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: n.queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			continue
		}
		for _, m := range got.Messages {
			cmd := exec.CommandContext(ctx, n.python, "-c", script+"import json, sys; print(json.dumps(main(json.loads(sys.argv[1]))))", *m.Body)
			if cmd.Run() != nil {
				continue // it comes again
			}
			var in struct{ N int }
			if json.Unmarshal([]byte(*m.Body), &in) != nil {
				continue
			}
			_, _ = n.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: n.queue, ReceiptHandle: m.ReceiptHandle})
			n.note(in.N)
		}
	}
}

func (n *naivePeer) burst(ctx context.Context, runs int) (time.Duration, error) {
	n.expect(runs)
	began := time.Now()
	for from := 0; from < runs; from += 10 {
		var entries []types.SendMessageBatchRequestEntry
		for i := from; i < min(from+10, runs); i++ {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(input(i)))})
		}
		if _, err := n.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: n.queue, Entries: entries}); err != nil {
			return 0, err
		}
	}
	last, err := n.wait(ctx)
	return last.Sub(began), err
}

func (n *naivePeer) steady(ctx context.Context, runs, rate int) ([]time.Duration, error) {
	return n.paced(ctx, runs, rate, func(ctx context.Context, i int) error {
		_, err := n.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: n.queue, MessageBody: aws.String(string(input(i)))})
		return err
	})
}

func (n *naivePeer) pids() []int { return []int{os.Getpid()} }

func (n *naivePeer) close() {
	if n.stop != nil {
		n.stop()
	}
	n.workers.Wait()
	n.stack.stop(syscall.SIGTERM)
}
