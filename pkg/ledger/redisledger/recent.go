package redisledger

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// kept is a summary as Redis has it: short names, and no tenant, which the key
// names.
type kept struct {
	Run        run.Key          `json:"k"`
	Source     string           `json:"s"`
	ID         string           `json:"i"`
	Action     string           `json:"a,omitempty"`
	Script     run.ScriptHash   `json:"h,omitempty"`
	At         int64            `json:"t"` // unix ms
	Status     run.Status       `json:"u"`
	ErrorOwner run.Owner        `json:"o,omitempty"`
	ErrorType  string           `json:"e,omitempty"`
	Runtime    string           `json:"r,omitempty"`
	Attempt    int              `json:"n,omitempty"`
	Worker     string           `json:"w,omitempty"`
	Build      run.BuildOutcome `json:"b,omitempty"`
	ColdStart  bool             `json:"c,omitempty"`
	Timings    [8]int64         `json:"m"`
}

// summary encodes s; "" stands for none.
func summary(s *ledger.Summary) string {
	if s == nil {
		return ""
	}
	t := s.Timings
	text, _ := json.Marshal(kept{ // strings and numbers always encode
		s.Run, s.Source, s.ID, s.Action, s.Script, s.At.UnixMilli(), s.Status, s.ErrorOwner, s.ErrorType, s.Runtime,
		s.Attempt, s.Worker, s.Build, s.ColdStart,
		[8]int64{t.Intake, t.Queue, t.BuildWait, t.Build, t.Init, t.Execute, t.Publish, t.Total},
	})
	return string(text)
}

func summaryOf(tenant, text string) (ledger.Summary, error) {
	var k kept
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return ledger.Summary{}, fmt.Errorf("read a summary of tenant %s: %w", tenant, err)
	}
	m := k.Timings
	return ledger.Summary{
		Run: k.Run, Tenant: tenant, Source: k.Source, ID: k.ID, Action: k.Action, Script: k.Script,
		At: time.UnixMilli(k.At), Status: k.Status, ErrorOwner: k.ErrorOwner, ErrorType: k.ErrorType, Runtime: k.Runtime,
		Attempt: k.Attempt, Worker: k.Worker, Build: k.Build, ColdStart: k.ColdStart,
		Timings: run.Timings{Intake: m[0], Queue: m[1], BuildWait: m[2], Build: m[3], Init: m[4], Execute: m[5], Publish: m[6], Total: m[7]},
	}, nil
}

func (l *Ledger) Recent(ctx context.Context, tenant string) ([]ledger.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	stored, err := l.client.LRange(ctx, l.recent+":"+line(tenant), 0, int64(l.cfg.Recent-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the recent runs of tenant %s: %w", tenant, reach(err))
	}
	all := make([]ledger.Summary, len(stored))
	for i, s := range stored {
		if all[i], err = summaryOf(tenant, s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (l *Ledger) Latest(ctx context.Context, unsuccessful bool, limit int) ([]ledger.Summary, error) {
	if limit <= 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	key := l.latest + ":all"
	if unsuccessful {
		key = l.latest + ":unsuccessful"
	}
	stored, err := l.client.LRange(ctx, key, 0, int64(min(limit, l.cfg.latest())-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the latest runs: %w", reach(err))
	}
	all := make([]ledger.Summary, len(stored))
	for i, s := range stored {
		tenant, summary, _ := strings.Cut(s, "\n")
		if all[i], err = summaryOf(text(tenant), summary); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// RecentTenants removes from the hash the tenants whose lists have run out. It
// asks for 500 of them at a time.
func (l *Ledger) RecentTenants(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	tenants, err := l.client.HGetAll(ctx, l.recent).Result()
	if err != nil {
		return nil, fmt.Errorf("list tenants with recent runs: %w", reach(err))
	}
	var all []string
	for some := range slices.Chunk(slices.Sorted(maps.Keys(tenants)), inOneScript) {
		keys, args := []string{l.recent}, make([]any, len(some))
		for i, t := range some {
			args[i] = t
		}
		left, err := stillRecent.Run(ctx, l.client, keys, args...).StringSlice()
		if err != nil {
			return nil, fmt.Errorf("list tenants with recent runs: %w", reach(err))
		}
		for _, t := range left {
			all = append(all, text(t))
		}
	}
	return all, nil
}

// stillRecent returns those of the tenants in ARGV that have recent runs, and
// removes the others from the hash in KEYS[1]. It is one script, so that no run
// can be finished in between.
var stillRecent = redis.NewScript(`
local left = {}
for _, tenant in ipairs(ARGV) do
  if redis.call('PTTL', KEYS[1] .. ':' .. tenant) > 0 then
    table.insert(left, tenant)
  else
    redis.call('HDEL', KEYS[1], tenant)
  end
end
return left`)
