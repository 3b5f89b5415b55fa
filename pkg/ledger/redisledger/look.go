package redisledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func (l *Ledger) Cancelled(ctx context.Context, keys []run.Key) ([]bool, error) {
	records, err := l.look(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("ask which runs are cancelled: %w", err)
	}
	marks := make([]bool, len(keys))
	for i, r := range records {
		marks[i] = r.Cancelled
	}
	return marks, nil
}

func (l *Ledger) Lookup(ctx context.Context, key run.Key) (ledger.Record, error) {
	records, err := l.look(ctx, []run.Key{key})
	if err != nil {
		return ledger.Record{}, fmt.Errorf("look up run %s: %w", key, err)
	}
	return records[0], nil
}

// Open reads the list of open runs, then their records, 500 at a time. It
// leaves out a run that is finished in between.
func (l *Ledger) Open(ctx context.Context, limit int) ([]ledger.Record, error) {
	if limit <= 0 {
		return nil, nil
	}
	open, err := l.oldest(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("list open runs: %w", err)
	}
	records := make([]ledger.Record, 0, len(open))
	for from := 0; from < len(open); from += inOneScript {
		turn := open[from:min(from+inOneScript, len(open))]
		keys := make([]run.Key, len(turn))
		for i, z := range turn {
			keys[i] = run.Key(z.Member.(string))
		}
		found, err := l.look(ctx, keys)
		if err != nil {
			return nil, fmt.Errorf("look up open runs: %w", err)
		}
		for i, r := range found {
			switch r.State {
			case ledger.Done, ledger.Published:
				continue
			case ledger.Unknown:
				r.Since = time.UnixMilli(int64(turn[i].Score))
			}
			records = append(records, r)
		}
	}
	return records, nil
}

func (l *Ledger) oldest(ctx context.Context, limit int) ([]redis.Z, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	open, err := l.client.ZRangeWithScores(ctx, l.open, 0, int64(limit-1)).Result()
	return open, reach(err)
}

func (l *Ledger) look(ctx context.Context, keys []run.Key) ([]ledger.Record, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = l.records + string(k)
	}
	var now *redis.TimeCmd
	var found *redis.SliceCmd
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		now, found = p.Time(ctx), p.MGet(ctx, names...)
		return nil
	})
	if err != nil {
		return nil, reach(err)
	}
	records := make([]ledger.Record, len(keys))
	for i, v := range found.Val() {
		stored, _ := v.(string) // nil for an unknown run
		records[i] = recordOf(keys[i], stored, now.Val())
	}
	return records, nil
}

// Books reads both counts in one transaction, so that they agree.
func (l *Ledger) Books(ctx context.Context) (ledger.Books, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	var open *redis.IntCmd
	var finished *redis.MapStringStringCmd
	_, err := l.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		open, finished = p.ZCard(ctx, l.open), p.HGetAll(ctx, l.finished)
		return nil
	})
	if err != nil {
		return ledger.Books{}, fmt.Errorf("read books: %w", reach(err))
	}
	b := ledger.Books{Accepted: open.Val(), Open: open.Val(), Finished: map[run.Status]int64{}}
	for status, digits := range finished.Val() {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return ledger.Books{}, fmt.Errorf("read books: finished as %s: %w", status, err)
		}
		b.Finished[run.Status(status)] = n
		b.Accepted += n
	}
	return b, nil
}

func (l *Ledger) Backlogs(ctx context.Context, tenants []string) ([]int, error) {
	if len(tenants) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	names := make([]string, len(tenants))
	for i, t := range tenants {
		names[i] = line(t)
	}
	found, err := l.client.HMGet(ctx, l.backlogs, names...).Result()
	if err != nil {
		return nil, fmt.Errorf("read backlogs: %w", reach(err))
	}
	backlogs := make([]int, len(tenants))
	for i, v := range found {
		digits, _ := v.(string) // nil for a tenant without open runs
		if digits == "" {
			continue
		}
		if backlogs[i], err = strconv.Atoi(digits); err != nil {
			return nil, fmt.Errorf("read backlog of tenant %s: %w", tenants[i], err)
		}
	}
	return backlogs, nil
}

func (l *Ledger) AllBacklogs(ctx context.Context) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	found, err := l.client.HGetAll(ctx, l.backlogs).Result()
	if err != nil {
		return nil, fmt.Errorf("read backlogs: %w", reach(err))
	}
	backlogs := make(map[string]int, len(found))
	for tenant, digits := range found {
		if backlogs[text(tenant)], err = strconv.Atoi(digits); err != nil {
			return nil, fmt.Errorf("read backlog of tenant %s: %w", tenant, err)
		}
	}
	return backlogs, nil
}
