// Package redisprobe tests whether a Redis supports everything that a fleet needs.
package redisprobe

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/redisfault"
)

var (
	//go:embed lua/probe.lua
	probeLua string

	probe = redis.NewScript(probeLua)
)

// Probe tests one Redis.
type Probe struct {
	client  redis.UniversalClient
	keys    []string
	channel string // that of package redisrecords
}

// New returns a Probe for the fleet with the prefix.
func New(client redis.UniversalClient, prefix string) *Probe {
	key := prefix + ":probe:"
	return &Probe{client: client, keys: []string{key + "string", key + "hash", key + "set", key + "list"}, channel: prefix + ":builds"}
}

// Try returns nil if Redis executes the commands of the fleet's scripts: it answers,
// is the primary, accepts writes, is not a cluster, and the user has the
// permissions.
func (p *Probe) Try(ctx context.Context) error {
	err := p.try(ctx)
	if err == nil {
		return nil
	}
	if explained := redisfault.Explain(err); explained != err { //nolint:errorlint // whether it is the same
		return explained
	}
	return fmt.Errorf("Redis does not answer: %w", err)
}

func (p *Probe) try(ctx context.Context) error {
	if err := p.client.Ping(ctx).Err(); err != nil {
		return err
	}
	if err := probe.Run(ctx, p.client, p.keys).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	_, err := p.client.TxPipelined(ctx, func(tx redis.Pipeliner) error { return tx.Ping(ctx).Err() })
	return err
}

// Channels returns an error if the user may not publish and subscribe.
func (p *Probe) Channels(ctx context.Context) error {
	sub := p.client.Subscribe(ctx, p.channel)
	defer func() { _ = sub.Close() }()
	_, err := sub.Receive(ctx)
	if err == nil {
		err = p.client.Publish(ctx, p.channel, "").Err() // is of no build
	}
	if redisfault.Forbidden(err) {
		return fmt.Errorf("the user of REDIS_URL may not use the channel %s, so what waits for a build asks a few times a second: give it the channels that deploy/README.md lists: %w", p.channel, err)
	}
	return nil
}

// Keeps returns how many keys Redis has evicted, and an error if it evicts keys or
// may do so: a run whose key is evicted is missing from the books, and may run
// again. A server that does not report its policy counts as one that keeps keys.
func (p *Probe) Keeps(ctx context.Context) (evicted int64, err error) {
	e, err := p.eviction(ctx)
	return e.evicted, e.judge(err)
}

// judge says what is wrong with what Redis told, or with how it did not.
func (e eviction) judge(err error) error {
	switch {
	case redisfault.Forbidden(err):
		return fmt.Errorf("the user of REDIS_URL may not ask whether keys are evicted: allow it INFO: %w", err)
	case err != nil:
		return nil //nolint:nilerr // Try tells of a Redis that is away
	case e.evicted > 0:
		return fmt.Errorf("Redis has evicted %d keys since it started, so runs may be missing from the books and run again: give it more memory, set maxmemory-policy to noeviction (it is %s), and then CONFIG RESETSTAT", e.evicted, e.policy)
	case e.limited && e.policy != "noeviction":
		return fmt.Errorf("Redis evicts keys once its memory is full (maxmemory-policy is %s): set it to noeviction", e.policy)
	}
	return nil
}

// eviction is what a Redis tells of it.
type eviction struct {
	policy  string // maxmemory-policy
	limited bool   // whether there is a maxmemory
	evicted int64  // keys, since the server started
}

func (p *Probe) eviction(ctx context.Context) (eviction, error) {
	memory, err := p.client.Info(ctx, "memory").Result()
	if err != nil {
		return eviction{}, fmt.Errorf("ask Redis for its memory: %w", err)
	}
	stats, err := p.client.Info(ctx, "stats").Result()
	if err != nil {
		return eviction{}, fmt.Errorf("ask Redis how many keys it evicted: %w", err)
	}
	e := eviction{policy: field(memory, "maxmemory_policy"), limited: field(memory, "maxmemory") != "0"}
	e.evicted, _ = strconv.ParseInt(field(stats, "evicted_keys"), 10, 64) // 0 where it is not told
	if e.policy == "" {
		e.policy, e.limited = "unknown", false
	}
	return e, nil
}

func field(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
