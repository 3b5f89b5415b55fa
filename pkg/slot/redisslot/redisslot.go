package redisslot

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/redisfault"
	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

var (
	//go:embed lua/take.lua
	takeLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/inuse.lua
	inUseLua string

	take  = redis.NewScript(takeLua)
	renew = redis.NewScript(renewLua)
	inUse = redis.NewScript(inUseLua)
)

// inOneCall is the greatest number of asks in one script: Redis serves no other
// client while a script runs.
const inOneCall = 500

// Config says where slots are kept. A zero value stands for the default.
type Config struct {
	// Prefix begins every Redis key. Default scriptfleet.
	Prefix string
	// Timeout bounds each call of Redis. Default 5 s.
	Timeout time.Duration
}

// Slots implements slot.Slots.
type Slots struct {
	cfg    Config
	client redis.UniversalClient
	scopes string // the beginning of the keys of scopes
}

var _ slot.Slots = (*Slots)(nil)

// New returns the slots under cfg.Prefix.
func New(cfg Config, client redis.UniversalClient) *Slots {
	if cfg.Prefix == "" {
		cfg.Prefix = "scriptfleet"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	// The prefix has no colon of its own, so that keys of two prefixes never
	// collide.
	prefix := strings.NewReplacer("%", "%25", ":", "%3A").Replace(cfg.Prefix)
	return &Slots{cfg: cfg, client: client, scopes: prefix + ":slot:"}
}

func (s *Slots) Take(ctx context.Context, asks []slot.Ask, ttl time.Duration) ([]bool, error) {
	granted := make([]bool, 0, len(asks))
	for turn := range slices.Chunk(asks, inOneCall) {
		answers, err := s.call(ctx, take, turn, ttl)
		if err != nil {
			return nil, fmt.Errorf("take slots: %w", err)
		}
		if len(answers) != len(turn) {
			return nil, fmt.Errorf("take slots: redis answers %d of %d asks", len(answers), len(turn))
		}
		for _, a := range answers {
			granted = append(granted, a == 1)
		}
	}
	return granted, nil
}

func (s *Slots) Renew(ctx context.Context, asks []slot.Ask, ttl time.Duration) error {
	for turn := range slices.Chunk(asks, inOneCall) {
		if _, err := s.call(ctx, renew, turn, ttl); err != nil {
			return fmt.Errorf("renew slots: %w", err)
		}
	}
	return nil
}

// call runs a script for the asks and returns the integers of its answer.
func (s *Slots) call(ctx context.Context, script *redis.Script, asks []slot.Ask, ttl time.Duration) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	keys, args := make([]string, len(asks)), make([]any, 1, 1+2*len(asks))
	args[0] = int64((ttl + time.Millisecond - 1) / time.Millisecond)
	for i, a := range asks {
		keys[i] = s.scopes + a.Scope
		args = append(args, a.Owner, a.Cap)
	}
	answers, err := script.Run(ctx, s.client, keys, args...).Int64Slice()
	return answers, reach(err)
}

func (s *Slots) Give(ctx context.Context, asks []slot.Ask) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, a := range asks {
			p.ZRem(ctx, s.scopes+a.Scope, a.Owner)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("give slots back: %w", reach(err))
	}
	return nil
}

func (s *Slots) InUse(ctx context.Context, scopes []string) ([]int, error) {
	taken := make([]int, 0, len(scopes))
	for turn := range slices.Chunk(scopes, inOneCall) {
		keys := make([]string, len(turn))
		for i, scope := range turn {
			keys[i] = s.scopes + scope
		}
		answers, err := s.count(ctx, keys)
		if err != nil {
			return nil, fmt.Errorf("count slots: %w", err)
		}
		for _, n := range answers {
			taken = append(taken, int(n))
		}
	}
	return taken, nil
}

func (s *Slots) count(ctx context.Context, keys []string) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	answers, err := inUse.Run(ctx, s.client, keys).Int64Slice()
	if err == nil && len(answers) != len(keys) {
		err = fmt.Errorf("redis answers %d of %d scopes", len(answers), len(keys))
	}
	return answers, reach(err)
}

// reach wraps ErrUnavailable around an error of a Redis that is out of reach.
func reach(err error) error {
	if redisfault.Unavailable(err) {
		return fmt.Errorf("%w: %w", slot.ErrUnavailable, err)
	}
	return err
}
