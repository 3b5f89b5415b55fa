package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

// asynqPeer is asynq on a redis-server of its own. Settings: TaskCheckInterval,
// how long an idle worker waits before it looks again, is 5 ms in place of 1 s,
// as its documentation says for low latency; Concurrency is 32.
type asynqPeer struct {
	ends
	redis  *process
	pool   *pool
	client *asynq.Client
	server *asynq.Server
}

func (a *asynqPeer) start(ctx context.Context, h *harness) (err error) {
	var addr string
	if a.redis, addr, err = redisServer(ctx); err != nil {
		return err
	}
	if a.pool, err = openPool(h.python); err != nil {
		return err
	}
	to := asynq.RedisClientOpt{Addr: addr}
	a.client = asynq.NewClient(to)
	server := asynq.NewServer(to, asynq.Config{Concurrency: 32, TaskCheckInterval: 5 * time.Millisecond, LogLevel: asynq.FatalLevel})
	if err := server.Start(asynq.HandlerFunc(a.handle)); err != nil {
		return err
	}
	a.server = server
	return nil
}

func (a *asynqPeer) handle(ctx context.Context, t *asynq.Task) error {
	n, err := strconv.Atoi(string(t.Payload()))
	if err != nil {
		return err
	}
	if err := a.pool.run(ctx, input(n)); err != nil {
		return err
	}
	a.note(n)
	return nil
}

func (a *asynqPeer) send(ctx context.Context, n int) error {
	_, err := a.client.EnqueueContext(ctx, asynq.NewTask("run", strconv.AppendInt(nil, int64(n), 10)))
	return err
}

func (a *asynqPeer) burst(ctx context.Context, runs int) (time.Duration, error) {
	return a.crowd(ctx, runs, 8, a.send)
}

func (a *asynqPeer) steady(ctx context.Context, runs, rate int) ([]time.Duration, error) {
	return a.paced(ctx, runs, rate, a.send)
}

func (a *asynqPeer) pids() []int { return []int{os.Getpid()} }

func (a *asynqPeer) close() {
	if a.server != nil {
		a.server.Shutdown()
	}
	if a.client != nil {
		_ = a.client.Close()
	}
	a.pool.close()
	a.redis.stop(syscall.SIGTERM)
}

// input is the script's input.
func input(n int) []byte {
	body, err := json.Marshal(map[string]int{"n": n})
	if err != nil {
		panic(err)
	}
	return body
}
