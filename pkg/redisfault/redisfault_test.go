package redisfault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
)

func TestErrorsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{redis.Nil, false},
		{context.Canceled, false},
		{fmt.Errorf("claim: %w", context.Canceled), false},
		{context.DeadlineExceeded, true},
		{io.EOF, true},
		{redis.ErrClosed, true},
		{errors.New("redis: connection pool timeout"), true},
	} {
		if got := Unavailable(c.err); got != c.want {
			t.Errorf("Unavailable(%v) = %v", c.err, got)
		}
	}
}

func TestAnswersOfARealServerAreToldApart(t *testing.T) {
	s := redistest.Start(t)
	c := redistest.Connect(t, s.Addr, redistest.NoRetries)
	write := redis.NewScript(`return redis.call('SET', KEYS[1], 1)`)
	try := func(want bool, why string) {
		t.Helper()
		for name, err := range map[string]error{
			"SET":    c.Set(t.Context(), "k", 1, 0).Err(),
			"script": write.Eval(t.Context(), c, []string{"k"}).Err(),
		} {
			if err == nil {
				t.Errorf("%s: %s succeeded", why, name)
			} else if Unavailable(err) != want {
				t.Errorf("%s: Unavailable of %s is %v: %v", why, name, !want, err)
			}
		}
	}

	s.Do("HSET", "k", "f", "1")
	if err := c.Get(t.Context(), "k").Err(); Unavailable(err) || err == nil {
		t.Errorf("a key of the wrong type: %v", err)
	}
	s.FlushAll()
	s.Do("CONFIG", "SET", "maxmemory", "1")
	try(true, "out of memory")
	s.Do("CONFIG", "SET", "maxmemory", "0")
	s.Do("REPLICAOF", "127.0.0.1", "1")
	try(true, "a replica")
	s.Do("REPLICAOF", "NO", "ONE")

	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Get(ctx, "k").Err(); !Unavailable(err) {
		t.Errorf("paused: %v", err)
	}
	s.Stop()
	try(true, "stopped")
}
