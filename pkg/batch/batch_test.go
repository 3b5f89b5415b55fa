package batch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scriptfleet/scriptfleet/pkg/batch"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a flush that takes a second and doubles its entries.
type recorder struct {
	mu      sync.Mutex
	batches [][]int
	now     atomic.Int64
	most    atomic.Int64
}

func (r *recorder) flush(_ context.Context, ins []int) ([]int, []error) {
	if n := r.now.Add(1); n > r.most.Load() {
		r.most.Store(n)
	}
	defer r.now.Add(-1)
	r.mu.Lock()
	r.batches = append(r.batches, slices.Clone(ins))
	r.mu.Unlock()
	time.Sleep(time.Second)
	outs := make([]int, len(ins))
	for i, in := range ins {
		outs[i] = 2 * in
	}
	return outs, nil
}

func (r *recorder) sizes() (sizes []int) {
	for _, b := range r.batches {
		sizes = append(sizes, len(b))
	}
	return sizes
}

// start adds n entries one after the other, without waiting for the answers.
func start(t *testing.T, b *batch.Batcher[int, int], from, n int) *sync.WaitGroup {
	t.Helper()
	var wg sync.WaitGroup
	for i := from; i < from+n; i++ {
		wg.Go(func() {
			out, err := b.Do(t.Context(), i)
			if err != nil || out != 2*i {
				t.Errorf("Do(%d) = %d, %v", i, out, err)
			}
		})
		synctest.Wait()
	}
	return &wg
}

func TestACallThatFindsNoneUnderWayGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		b := batch.New(batch.Config[int]{Max: 10}, r.flush)
		began := time.Now()
		start(t, b, 0, 1).Wait()
		if took := time.Since(began); took != time.Second {
			t.Errorf("an idle batcher took %s, not only the flush's second", took)
		}
	})
}

func TestEntriesThatLingerGoTogetherOnceEnoughAreThereOrTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		b := batch.New(batch.Config[int]{Max: 3, Concurrency: 9, Linger: 500 * time.Millisecond}, r.flush)
		began := time.Now()
		full := start(t, b, 0, 4)
		time.Sleep(300 * time.Millisecond)
		start(t, b, 4, 1).Wait()
		if took := time.Since(began); took != 1500*time.Millisecond {
			t.Errorf("the last two took %s, not half a second and the flush's second", took)
		}
		full.Wait()
		if want := []int{3, 2}; !slices.Equal(r.sizes(), want) {
			t.Errorf("batches of %v, want %v", r.sizes(), want)
		}
	})
}

func TestEntriesLingerByTheirRateOnlyWhereCompanyComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		b := batch.New(batch.Config[int]{Max: 10, Concurrency: 99, Linger: 5 * time.Millisecond, ByRate: true}, r.flush)
		pace := func(n int, gap time.Duration) {
			r.batches = nil
			var all []*sync.WaitGroup
			for i := range n {
				all = append(all, start(t, b, i, 1))
				time.Sleep(gap)
			}
			for _, wg := range all {
				wg.Wait()
			}
		}
		pace(20, 50*time.Millisecond)
		if len(r.batches) != 20 {
			t.Errorf("20 entries that come alone went in %d batches", len(r.batches))
		}
		pace(200, time.Millisecond)
		if n := len(r.batches); n > 50 {
			t.Errorf("200 entries, one a millisecond, went in %d batches", n)
		}
		began := time.Now()
		start(t, b, 0, 1).Wait()
		if took := time.Since(began); took != time.Second {
			t.Errorf("one that comes alone after a crowd took %s, not only the flush's second", took)
		}
	})
}

func TestFewEntriesWaitForTheFlushUnderWayButNotForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for behind, want := range map[time.Duration][]int{2 * time.Second: {1, 2}, 400 * time.Millisecond: {1, 1, 1}} {
			r := &recorder{}
			b := batch.New(batch.Config[int]{Max: 3, Concurrency: 9, Linger: 5 * time.Millisecond, ByRate: true, Behind: behind}, r.flush)
			first := start(t, b, 0, 1)
			time.Sleep(300 * time.Millisecond)
			second := start(t, b, 1, 1)
			time.Sleep(500 * time.Millisecond)
			third := start(t, b, 2, 1)
			for _, wg := range []*sync.WaitGroup{first, second, third} {
				wg.Wait()
			}
			if !slices.Equal(r.sizes(), want) {
				t.Errorf("batches of %v, want %v, for %s", r.sizes(), want, behind)
			}
		}
	})
}

func TestEntriesAreFormedIntoFullBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		b := batch.New(batch.Config[int]{Max: 10, Concurrency: 9, Linger: 500 * time.Millisecond}, r.flush)
		var wg sync.WaitGroup
		for i := range 25 { // all at once
			wg.Go(func() { _, _ = b.Do(t.Context(), i) })
		}
		wg.Wait()
		if want := []int{10, 10, 5}; !slices.Equal(r.sizes(), want) {
			t.Errorf("batches of %v, want %v", r.sizes(), want)
		}
	})
}

func TestCallsMadeDuringAFlushGoTogetherInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		b := batch.New(batch.Config[int]{Max: 10}, r.flush)
		start(t, b, 0, 14).Wait()
		if want := []int{1, 10, 3}; !slices.Equal(r.sizes(), want) {
			t.Errorf("batches of %v, want %v", r.sizes(), want)
		}
		if got := slices.Concat(r.batches...); !slices.IsSorted(got) {
			t.Errorf("entries went out of order: %v", got)
		}
	})
}

func TestABatchKeepsWithinItsWeightAndAHeavyEntryGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		b := batch.New(batch.Config[int]{MaxWeight: 10, Weight: func(i int) int { return i }}, r.flush)
		start(t, b, 0, 8).Wait() // 0 is flushed at once; then 1+2+3+4=10, 5, 6, 7
		start(t, b, 50, 1).Wait()
		if want := [][]int{{0}, {1, 2, 3, 4}, {5}, {6}, {7}, {50}}; fmt.Sprint(r.batches) != fmt.Sprint(want) {
			t.Errorf("batches %v, want %v", r.batches, want)
		}
	})
}

func TestNoMoreFlushesAreUnderWayThanAllowed(t *testing.T) {
	for _, allowed := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			b := batch.New(batch.Config[int]{Max: 2, Concurrency: allowed}, r.flush)
			start(t, b, 0, 20).Wait()
			if got := int(r.most.Load()); got != allowed {
				t.Errorf("%d flushes were under way at once, want %d", got, allowed)
			}
		})
	}
}

func TestACallerWhoseContextEndsStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		b := batch.New(batch.Config[int]{}, r.flush)
		first := start(t, b, 0, 1)
		why := errors.New("drained")
		ctx, cancel := context.WithCancelCause(t.Context())
		left := make(chan error)
		go func() { _, err := b.Do(ctx, 7); left <- err }()
		synctest.Wait()
		cancel(why)
		if err := <-left; !errors.Is(err, why) {
			t.Errorf("Do = %v, want the cause of its context", err)
		}
		first.Wait()
		synctest.Wait()
		if want := []int{1}; !slices.Equal(r.sizes(), want) {
			t.Errorf("batches of %v: an entry went that nobody waited for", r.sizes())
		}
		if _, err := b.Do(ctx, 8); !errors.Is(err, why) {
			t.Errorf("Do under an ended context = %v", err)
		}
	})
}

func TestEachEntryGetsItsOwnError(t *testing.T) {
	odd := errors.New("odd")
	b := batch.New(batch.Config[int]{}, func(_ context.Context, ins []int) ([]struct{}, []error) {
		errs := make([]error, len(ins))
		for i, in := range ins {
			if in%2 == 1 {
				errs[i] = odd
			}
		}
		return nil, errs
	})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := b.Do(t.Context(), i); errors.Is(err, odd) != (i%2 == 1) {
				t.Errorf("Do(%d) = %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestAFlushThatGivesNoAnswerFailsItsEntriesOnly(t *testing.T) {
	short := map[string]batch.Flush[int, int]{
		"panics":        func(context.Context, []int) ([]int, []error) { panic("boom") },
		"ends":          func(context.Context, []int) ([]int, []error) { runtime.Goexit(); return nil, nil },
		"says nothing":  func(context.Context, []int) ([]int, []error) { return nil, nil },
		"too few":       func(_ context.Context, ins []int) ([]int, []error) { return ins[1:], make([]error, len(ins)) },
		"too many":      func(_ context.Context, ins []int) ([]int, []error) { return append(ins, 1), nil },
		"too few error": func(_ context.Context, ins []int) ([]int, []error) { return ins, make([]error, len(ins)+1) },
	}
	for name, flush := range short {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			b := batch.New(batch.Config[int]{}, func(ctx context.Context, ins []int) ([]int, []error) {
				if calls.Add(1) == 1 {
					return flush(ctx, ins)
				}
				return ins, nil
			})
			if _, err := b.Do(t.Context(), 1); !errors.Is(err, batch.ErrNoAnswer) {
				t.Errorf("Do = %v, want ErrNoAnswer", err)
			}
			if out, err := b.Do(t.Context(), 2); out != 2 || err != nil {
				t.Errorf("the next Do = %d, %v", out, err)
			}
		})
	}
}

func TestAFlushThatPanicsIsReportedOnceAndNamedToEachEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, log := observer.New(zap.ErrorLevel)
		counted := 0
		guard := panics.Guard{Log: zap.New(core), Count: func() { counted++ }}
		b := batch.New(batch.Config[int]{Guard: guard}, func(_ context.Context, ins []int) ([]int, []error) {
			if time.Sleep(time.Second); len(ins) == 3 {
				panic("boom")
			}
			return ins, nil
		})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = b.Do(t.Context(), 0) })
		synctest.Wait()
		for i := range 3 {
			wg.Go(func() {
				_, err := b.Do(t.Context(), i)
				var p *panics.Error
				if !errors.As(err, &p) || !errors.Is(err, batch.ErrNoAnswer) || p.ID != log.All()[0].ContextMap()["id"] {
					t.Errorf("Do = %v", err)
				}
			})
		}
		wg.Wait()
		if counted != 1 || log.Len() != 1 || !strings.Contains(log.All()[0].ContextMap()["stack"].(string), "batch_test") {
			t.Errorf("%d panics are counted; the log says %v", counted, log.All())
		}
	})
}

// BenchmarkDo measures Do with a flush that takes as long as a round trip. With
// n callers it should be about n times as fast as with one.
func BenchmarkDo(b *testing.B) {
	for _, callers := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			var flushes atomic.Int64
			d := batch.New(batch.Config[int]{Max: 10, Concurrency: 2}, func(_ context.Context, ins []int) ([]int, []error) {
				flushes.Add(1)
				time.Sleep(100 * time.Microsecond) // a round trip
				return ins, nil
			})
			b.SetParallelism(callers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := d.Do(b.Context(), 1); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(flushes.Load()), "entries/flush")
		})
	}
}
