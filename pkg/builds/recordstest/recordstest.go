// Package recordstest holds implementations of builds.Records to their
// contract.
package recordstest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Env is one implementation under test, with no record.
type Env struct {
	Records builds.Records
	Pass    func(d time.Duration) // moves the clock of the records' TTLs by d
}

// Run runs the contract. It calls run for each of its tests; run makes a fresh
// Env and calls test with it, inside a synctest bubble if the implementation is
// in memory.
func Run(t *testing.T, run func(t *testing.T, test func(t *testing.T, e Env))) {
	for name, test := range map[string]func(*testing.T, Env){
		"WhatIsPutIsThere":                putGet,
		"NothingIsThereBefore":            empty,
		"SeveralAreReadTogether":          several,
		"AGreaterFenceReplaces":           greaterReplaces,
		"ALesserFenceIsStale":             lesserIsStale,
		"TheSameFenceMayWriteAgain":       sameAgain,
		"OnlyTheGreatestOfManyFencesWins": manyFences,
		"RecordsEndWithTheirTTL":          ttl,
		"ZeroTTLKeepsForGood":             forGood,
		"DropLeavesAGreaterFence":         dropLesser,
		"DropForgets":                     dropForgets,
		"WatchTellsOfPutAndDrop":          watchTells,
		"WatchTellsOfDropOfNothing":       watchDropOfNothing,
		"WatchIsOfOneHash":                watchOne,
		"AStaleDropAndPutLeaveTheRecord":  staleLeaves,
		"StoppedWatchesCostNothing":       stopWatch,
		"AnEndedContextIsAnError":         endedContext,
	} {
		t.Run(name, func(t *testing.T) { run(t, test) })
	}
}

func putGet(t *testing.T, e Env) {
	full := builds.Record{
		Failure: &run.Error{Owner: run.OwnerAuthor, Type: "RequirementNotFound", Message: "x ≥ 1 \x00 ✓", Retryable: true},
		Until:   time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond), Failures: 3,
		Log: "line\nline", Fence: 1_732_000_000_000_001, Builder: "worker-1",
	}
	for _, want := range []builds.Record{{ARN: "arn:x", Fence: 1}, full} {
		put(t, e, "h", want)
		if got := get(t, e, "h"); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func empty(t *testing.T, e Env) { absent(t, e, "h") }

func several(t *testing.T, e Env) {
	put(t, e, "a", builds.Record{ARN: "of a", Fence: 1})
	put(t, e, "c", builds.Record{ARN: "of c", Fence: 2})
	all, err := e.Records.GetAll(t.Context(), []string{"c", "b", "a"})
	if err != nil || len(all) != 3 || all[0] == nil || all[0].ARN != "of c" || all[1] != nil || all[2] == nil || all[2].ARN != "of a" {
		t.Errorf("got %v, %v", all, err)
	}
}

func greaterReplaces(t *testing.T, e Env) {
	put(t, e, "h", builds.Record{ARN: "a", Fence: 10})
	put(t, e, "h", builds.Record{ARN: "b", Fence: 11})
	is(t, e, "h", "b")
}

func lesserIsStale(t *testing.T, e Env) {
	const now = 1_732_000_000_000_000 // fences are microseconds since 1970: no digit may be rounded away
	put(t, e, "h", builds.Record{ARN: "a", Fence: now + 1})
	if err := e.Records.Put(t.Context(), "h", builds.Record{ARN: "b", Fence: now}, 0); !errors.Is(err, builds.ErrStale) {
		t.Errorf("put by a lesser fence: %v, want ErrStale", err)
	}
	is(t, e, "h", "a")
}

func sameAgain(t *testing.T, e Env) {
	put(t, e, "h", builds.Record{ARN: "a", Fence: 10})
	put(t, e, "h", builds.Record{ARN: "b", Fence: 10})
	is(t, e, "h", "b")
}

func manyFences(t *testing.T, e Env) {
	var wg sync.WaitGroup
	var stale atomic.Int32
	for fence := range int64(20) {
		wg.Go(func() {
			err := e.Records.Put(context.Background(), "h", builds.Record{ARN: "a", Fence: fence + 1}, 0)
			switch {
			case errors.Is(err, builds.ErrStale):
				stale.Add(1)
			case err != nil:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := get(t, e, "h"); got.Fence != 20 {
		t.Errorf("fence %d stands, want the greatest, 20 (%d were stale)", got.Fence, stale.Load())
	}
}

func ttl(t *testing.T, e Env) {
	if err := e.Records.Put(t.Context(), "h", builds.Record{ARN: "a", Fence: 10}, time.Minute); err != nil {
		t.Fatal(err)
	}
	e.Pass(50 * time.Second)
	is(t, e, "h", "a")
	e.Pass(11 * time.Second)
	absent(t, e, "h")
	put(t, e, "h", builds.Record{ARN: "b", Fence: 9}) // the fence 10 has ended with its record
}

func forGood(t *testing.T, e Env) {
	if err := e.Records.Put(t.Context(), "h", builds.Record{ARN: "a", Fence: 10}, time.Minute); err != nil {
		t.Fatal(err)
	}
	put(t, e, "h", builds.Record{ARN: "b", Fence: 11})
	e.Pass(1000 * time.Hour)
	is(t, e, "h", "b")
}

func dropLesser(t *testing.T, e Env) {
	put(t, e, "h", builds.Record{ARN: "a", Fence: 10})
	drop(t, e, "h", 9)
	is(t, e, "h", "a")
}

func dropForgets(t *testing.T, e Env) {
	put(t, e, "h", builds.Record{ARN: "a", Fence: 10})
	drop(t, e, "h", 10)
	absent(t, e, "h")
	drop(t, e, "h", 10)
}

func watchTells(t *testing.T, e Env) {
	told := watch(t, e, "h")
	put(t, e, "h", builds.Record{ARN: "a", Fence: 10})
	wait(t, told)
	put(t, e, "h", builds.Record{ARN: "a", Fence: 11})
	wait(t, told)
	drop(t, e, "h", 11)
	wait(t, told)
}

func watchDropOfNothing(t *testing.T, e Env) {
	told := watch(t, e, "h")
	drop(t, e, "h", 0)
	wait(t, told)
}

func watchOne(t *testing.T, e Env) {
	told, other := watch(t, e, "h"), watch(t, e, "other")
	second := watch(t, e, "h")
	put(t, e, "h", builds.Record{ARN: "a", Fence: 10})
	wait(t, told)
	wait(t, second)
	select {
	case <-other:
		t.Error("a watch of another hash was told")
	default:
	}
}

func staleLeaves(t *testing.T, e Env) {
	put(t, e, "h", builds.Record{ARN: "a", Fence: 10})
	drop(t, e, "h", 0)
	_ = e.Records.Put(t.Context(), "h", builds.Record{ARN: "b", Fence: 1}, time.Millisecond)
	e.Pass(time.Second)
	is(t, e, "h", "a")
}

func stopWatch(t *testing.T, e Env) {
	for range 100 {
		_, stop, err := e.Records.Watch(t.Context(), "h")
		if err != nil {
			t.Fatal(err)
		}
		stop()
	}
	put(t, e, "h", builds.Record{ARN: "a", Fence: 10})
}

func endedContext(t *testing.T, e Env) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := e.Records.Get(ctx, "h"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v, want context.Canceled", err)
	}
	if err := e.Records.Put(ctx, "h", builds.Record{}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v, want context.Canceled", err)
	}
}

func put(t *testing.T, e Env, hash string, r builds.Record) {
	t.Helper()
	if err := e.Records.Put(t.Context(), hash, r, 0); err != nil {
		t.Fatalf("put %+v: %v", r, err)
	}
}

func drop(t *testing.T, e Env, hash string, fence int64) {
	t.Helper()
	if err := e.Records.Drop(t.Context(), hash, fence); err != nil {
		t.Fatalf("drop: %v", err)
	}
}

func get(t *testing.T, e Env, hash string) builds.Record {
	t.Helper()
	r, ok, err := e.Records.Get(t.Context(), hash)
	if err != nil || !ok {
		t.Fatalf("get: there %t, error %v", ok, err)
	}
	return r
}

func is(t *testing.T, e Env, hash, arn string) {
	t.Helper()
	if r := get(t, e, hash); r.ARN != arn {
		t.Fatalf("%s is %+v, want %s", hash, r, arn)
	}
}

func absent(t *testing.T, e Env, hash string) {
	t.Helper()
	if r, ok, err := e.Records.Get(t.Context(), hash); ok || err != nil {
		t.Fatalf("get: %+v, there %t, error %v; want nothing", r, ok, err)
	}
}

func watch(t *testing.T, e Env, hash string) <-chan struct{} {
	t.Helper()
	changed, stop, err := e.Records.Watch(t.Context(), hash)
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	t.Cleanup(stop)
	return changed
}

func wait(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(5 * time.Second):
		t.Fatal("not told within 5s")
	}
}
