// Package redisshape is a shape.Board in one Redis hash.
package redisshape

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/shape"
)

var (
	//go:embed lua/announce.lua
	announceLua string

	announce = redis.NewScript(announceLua)
)

// Board implements shape.Board.
type Board struct {
	client redis.UniversalClient
	key    string
}

var _ shape.Board = (*Board)(nil)

// New returns the board of the fleet with that prefix.
func New(client redis.UniversalClient, prefix string) *Board {
	// The prefix has no colon of its own, so that keys of two prefixes never
	// collide.
	prefix = strings.NewReplacer("%", "%25", ":", "%3A").Replace(prefix)
	return &Board{client: client, key: prefix + ":processes"}
}

func (b *Board) Announce(ctx context.Context, p shape.Process, ttl time.Duration) ([]shape.Process, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("announce process: %w", err)
	}
	return b.call(ctx, field(p), body, ttl.Milliseconds())
}

func (b *Board) Processes(ctx context.Context) ([]shape.Process, error) {
	return b.call(ctx, "", "", 0)
}

func (b *Board) Leave(ctx context.Context, p shape.Process) error {
	if err := b.client.HDel(ctx, b.key, field(p)).Err(); err != nil {
		return fmt.Errorf("take process off the board: %w", err)
	}
	return nil
}

func field(p shape.Process) string { return string(p.Role) + ":" + p.Name }

func (b *Board) call(ctx context.Context, args ...any) ([]shape.Process, error) {
	answers, err := announce.Run(ctx, b.client, []string{b.key}, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("read the fleet's processes: %w", err)
	}
	all := make([]shape.Process, len(answers))
	for i, a := range answers {
		if err := json.Unmarshal([]byte(a), &all[i]); err != nil {
			return nil, fmt.Errorf("read process %q: %w", a, err)
		}
	}
	return all, nil
}
