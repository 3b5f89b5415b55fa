package redisshape

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/shape"
)

func TestProcessesAreSeenUntilTheyLeaveOrRunOut(t *testing.T) {
	s := redistest.Start(t)
	for name, client := range map[string]*redis.Client{
		"redis":     redistest.Connect(t, s.Addr, redistest.AsFleet(t, s, "fleet", "~other:*")),
		"miniredis": redistest.Connect(t, miniredis.RunT(t).Addr()),
	} {
		t.Run(name, func(t *testing.T) {
			b, other := New(client, "fleet"), New(client, "other")
			d := shape.Process{Role: shape.Dispatcher, Name: "one", Partitions: 8, Bucket: "b", Version: "1"}
			w := shape.Process{Role: shape.Worker, Name: "one", Partitions: 4}
			write(t, b, d, time.Hour)
			write(t, b, w, time.Hour)
			d.Partitions = 16
			if all := write(t, b, d, time.Hour); len(all) != 2 || all[0] != d && all[1] != d {
				t.Errorf("on the board: %+v", all)
			}
			if all := write(t, other, w, time.Hour); len(all) != 1 {
				t.Errorf("on the other fleet's board: %+v", all)
			}
			if err := b.Leave(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if all := processes(t, b); len(all) != 1 || all[0] != w {
				t.Errorf("after one has left: %+v", all)
			}
			write(t, b, w, 50*time.Millisecond)
			wait.Until(t, 10*time.Second, "the process does not run out", func() bool { return len(processes(t, b)) == 0 })
		})
	}
}

func write(t *testing.T, b *Board, p shape.Process, ttl time.Duration) []shape.Process {
	t.Helper()
	all, err := b.Announce(t.Context(), p, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func processes(t *testing.T, b *Board) []shape.Process {
	t.Helper()
	all, err := b.Processes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}
