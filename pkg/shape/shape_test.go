package shape

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

var (
	sends8 = Process{Role: Dispatcher, Name: "d", Partitions: 8, Bucket: "b", Version: "1"}
	reads8 = Process{Role: Worker, Name: "w", Partitions: 8, Bucket: "b", Version: "1"}
)

func with(p Process, change func(*Process)) Process {
	p.Name += "-changed"
	change(&p)
	return p
}

func TestOnlyWhatLosesWorkIsADifference(t *testing.T) {
	reads4 := with(reads8, func(p *Process) { p.Partitions = 4 })
	reads16 := with(reads8, func(p *Process) { p.Partitions = 16 })
	looks4 := Process{Role: Command, Partitions: 4, Bucket: "b", Version: "1"}
	for name, c := range map[string]struct {
		p, o    Process
		says    string // empty for no difference
		passing bool
	}{
		"equal":                          {p: sends8, o: reads8},
		"itself, started otherwise":      {p: sends8, o: Process{Role: Dispatcher, Name: "d", Partitions: 4}},
		"a worker with fewer":            {p: reads4, o: sends8, says: "dispatcher d sends to 8 partitions and worker w-changed reads only 4"},
		"a dispatcher beside fewer":      {p: sends8, o: reads4, says: "dispatcher d sends to 8 partitions and worker w-changed reads only 4"},
		"a worker with more, in a roll":  {p: reads16, o: sends8},
		"two workers, in a roll":         {p: reads16, o: reads8},
		"a command that looks elsewhere": {p: looks4, o: sends8, says: "give the command --partitions 8"},
		"another bucket":                 {p: sends8, o: with(reads8, func(p *Process) { p.Bucket = "" }), says: "has no bucket"},
		"another version":                {p: sends8, o: with(reads8, func(p *Process) { p.Version = "2" }), says: "versions", passing: true},
	} {
		got := Differences(c.p, []Process{c.o})
		switch {
		case c.says == "" && len(got) > 0:
			t.Errorf("%s: %+v", name, got)
		case c.says != "" && (len(got) != 1 || !strings.Contains(got[0].Text, c.says) || got[0].Passing != c.passing):
			t.Errorf("%s: %+v, want one that says %q", name, got, c.says)
		}
	}
	if got := Within([]Process{sends8, reads8, reads4}); len(got) != 1 {
		t.Errorf("among three: %+v, want one", got)
	}
}

// board is a Board in memory.
type board struct {
	mu   sync.Mutex
	all  map[string]Process
	away bool
}

// change changes what stands on the board, beside a Watch that reads it.
func (b *board) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *board) Announce(ctx context.Context, p Process, _ time.Duration) ([]Process, error) {
	away := false
	b.change(func() {
		if away = b.away; !away {
			b.all[p.String()] = p
		}
	})
	if away {
		return nil, errors.New("away")
	}
	return b.Processes(ctx)
}

func (b *board) Leave(_ context.Context, p Process) error {
	b.change(func() { delete(b.all, p.String()) })
	return nil
}

func (b *board) Processes(context.Context) (ps []Process, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.all {
		ps = append(ps, p)
	}
	return ps, nil
}

func TestAProcessThatDiffersIsNotReadyAndSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{all: map[string]Process{}}
		logs, said := observer.New(zap.InfoLevel)
		var own error
		w := New(with(reads8, func(p *Process) { p.Partitions = 4 }), b, zap.New(logs))
		w.Tell(func() (err error) {
			b.change(func() { err = own })
			return err
		})
		told := func() (why string) {
			b.change(func() { why = b.all["worker w-changed"].NotReady })
			return why
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.Run(ctx); close(ended) }()
		synctest.Wait()
		if err := w.Ready(); err != nil {
			t.Errorf("alone: %v", err)
		}
		if why := told(); why != "" {
			t.Errorf("the board says that it is not ready: %s", why)
		}
		b.change(func() { b.all["d"] = sends8 })
		time.Sleep(3 * Every)
		if err := w.Ready(); err == nil || said.Len() != 1 {
			t.Errorf("beside a dispatcher with more: %v, said %v", err, said.All())
		}
		b.change(func() { own = errors.New("Lambda is away") })
		time.Sleep(2 * Every)
		if why := told(); !strings.HasPrefix(why, "Lambda is away; dispatcher d sends to 8") {
			t.Errorf("the board says why it is not ready: %q", why)
		}
		b.change(func() { own = nil; b.away = true; delete(b.all, "d") })
		time.Sleep(3 * Every)
		if w.Ready() == nil {
			t.Error("what was seen is forgotten while Redis is away")
		}
		b.change(func() { b.away = false })
		time.Sleep(2 * Every)
		if err := w.Ready(); err != nil || said.Len() != 2 {
			t.Errorf("alone again: %v, said %v", err, said.All())
		}
		b.change(func() {
			for _, name := range []string{"w1", "w2"} {
				b.all[name] = with(reads8, func(p *Process) { p.Name, p.Partitions, p.Turns = name, 4, 32 })
			}
		})
		time.Sleep(2 * Every)
		if n := w.Turns(); n != 64 {
			t.Errorf("two workers of 32 turns have %d", n)
		}
		b.change(func() { clear(b.all) })
		stop()
		<-ended
		if len(b.all) != 0 {
			t.Errorf("left on the board: %v", b.all)
		}
	})
}
