// Package redisrecords keeps the records of builds in Redis: for each record a
// Redis hash with its fence and its JSON, and one channel for all changes.
//
// All watches of a Records share one subscription, which the first watch
// begins. So every worker receives a signal for each build of the fleet, and a
// watch costs no round trip. The signals are few: Lambda's control plane allows
// 15 calls a second, and a build makes one or two.
//
// A new user of Redis 7 has no permission for any channel. If the client may
// not publish, Put and Drop still succeed: the signal is sent last, and its
// failure is ignored. If it may not subscribe, Watch fails, and the builder
// reads the record from time to time.
package redisrecords

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
)

// Records implements builds.Records.
type Records struct {
	rdb    redis.UniversalClient
	prefix string
	*watchers
}

// New returns the records whose keys begin with prefix. Close ends its
// subscription.
func New(rdb redis.UniversalClient, prefix string) *Records {
	return &Records{rdb: rdb, prefix: prefix, watchers: newWatchers(rdb, channel(prefix))}
}

// KEYS  the record
// ARGV  fence, record, ttl in ms (0: no limit), channel, hash
// Returns 1, or 0 where the record there has a greater fence.
var put = redis.NewScript(`
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and tonumber(fence) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'record', ARGV[2])
if tonumber(ARGV[3]) > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('PERSIST', KEYS[1])
end
redis.pcall('PUBLISH', ARGV[4], ARGV[5])
return 1
`)

// KEYS  the record
// ARGV  fence, channel, hash
// Returns 1.
var drop = redis.NewScript(`
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and tonumber(fence) <= tonumber(ARGV[1]) then
  redis.call('DEL', KEYS[1])
end
redis.pcall('PUBLISH', ARGV[2], ARGV[3])
return 1
`)

// Get implements builds.Records.
func (r *Records) Get(ctx context.Context, hash string) (builds.Record, bool, error) {
	all, err := r.GetAll(ctx, []string{hash})
	if err != nil || all[0] == nil {
		return builds.Record{}, false, err
	}
	return *all[0], true, nil
}

// GetAll implements builds.Records.
func (r *Records) GetAll(ctx context.Context, hashes []string) ([]*builds.Record, error) {
	answers, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, hash := range hashes {
			p.HGet(ctx, r.key(hash), "record")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("get build records %v: %w", hashes, err)
	}
	all := make([]*builds.Record, len(hashes))
	for i, a := range answers {
		body, err := a.(*redis.StringCmd).Bytes()
		switch {
		case errors.Is(err, redis.Nil):
		case err != nil:
			return nil, fmt.Errorf("get build record %s: %w", hashes[i], err)
		default:
			all[i] = decode(body)
		}
	}
	return all, nil
}

// decode returns nil for a record that another version of scriptfleet has
// written and that this one cannot read: it is taken as missing.
func decode(body []byte) *builds.Record {
	var rec builds.Record
	if json.Unmarshal(body, &rec) != nil {
		return nil
	}
	return &rec
}

// Put implements builds.Records.
func (r *Records) Put(ctx context.Context, hash string, rec builds.Record, ttl time.Duration) error {
	body, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode build record %s: %w", hash, err)
	}
	keys := []string{r.key(hash)}
	ok, err := put.Run(ctx, r.rdb, keys, rec.Fence, body, ttl.Milliseconds(), channel(r.prefix), hash).Int()
	if err != nil {
		return fmt.Errorf("put build record %s: %w", hash, err)
	}
	if ok == 0 {
		return builds.ErrStale
	}
	return nil
}

// Drop implements builds.Records.
func (r *Records) Drop(ctx context.Context, hash string, fence int64) error {
	if err := drop.Run(ctx, r.rdb, []string{r.key(hash)}, fence, channel(r.prefix), hash).Err(); err != nil {
		return fmt.Errorf("drop build record %s: %w", hash, err)
	}
	return nil
}

func (r *Records) key(hash string) string { return r.prefix + ":build:{" + hash + "}" }

func channel(prefix string) string { return prefix + ":builds" }
