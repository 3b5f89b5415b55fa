package main

import (
	"context"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverPeer is River on a PostgreSQL of its own. Settings: FetchCooldown 1 ms and
// FetchPollInterval 5 ms in place of 100 ms and 1 s, as its documentation says for
// low latency; 100 workers; inserts of a burst by InsertManyFast. PostgreSQL has
// its defaults (synchronous commits) but for 256 MB of buffers.
type riverPeer struct {
	ends
	postgres *process
	pool     *pool
	db       *pgxpool.Pool
	client   *river.Client[pgx.Tx]
}

type scriptArgs struct {
	N int `json:"n"`
}

func (scriptArgs) Kind() string { return "script" }

type scriptWorker struct {
	river.WorkerDefaults[scriptArgs]
	peer *riverPeer
}

func (w *scriptWorker) Work(ctx context.Context, job *river.Job[scriptArgs]) error {
	if err := w.peer.pool.run(ctx, input(job.Args.N)); err != nil {
		return err
	}
	w.peer.note(job.Args.N)
	return nil
}

func (r *riverPeer) start(ctx context.Context, h *harness) (err error) {
	var url string
	if r.postgres, url, err = postgres(ctx, h); err != nil {
		return err
	}
	if r.pool, err = openPool(h.python); err != nil {
		return err
	}
	if r.db, err = pgxpool.New(ctx, url); err != nil {
		return err
	}
	driver := riverpgxv5.New(r.db)
	quiet := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &scriptWorker{peer: r})
	client, err := river.NewClient(driver, &river.Config{
		FetchCooldown: time.Millisecond, FetchPollInterval: 5 * time.Millisecond, Logger: quiet,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 100}}, Workers: workers,
	})
	if err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	r.client = client
	return nil
}

func (r *riverPeer) burst(ctx context.Context, runs int) (time.Duration, error) {
	r.expect(runs)
	params := make([]river.InsertManyParams, runs)
	for n := range params {
		params[n].Args = scriptArgs{n}
	}
	began := time.Now()
	if _, err := r.client.InsertManyFast(ctx, params); err != nil {
		return 0, err
	}
	last, err := r.wait(ctx)
	return last.Sub(began), err
}

func (r *riverPeer) steady(ctx context.Context, runs, rate int) ([]time.Duration, error) {
	return r.paced(ctx, runs, rate, func(ctx context.Context, n int) error {
		_, err := r.client.Insert(ctx, scriptArgs{n}, nil)
		return err
	})
}

func (r *riverPeer) pids() []int { return []int{os.Getpid()} }

func (r *riverPeer) close() {
	if r.client != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = r.client.Stop(ctx)
	}
	if r.db != nil {
		r.db.Close()
	}
	r.pool.close()
	r.postgres.stop(syscall.SIGINT)
}
