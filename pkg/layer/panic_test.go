package layer

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// caughtIn says whether f panics with a fault of its goroutines'.
func caughtIn(t *testing.T, where string, f func()) {
	t.Helper()
	if p := panics.Catch(f); p == nil || !strings.Contains(p.Stack, where) {
		t.Errorf("caught %+v, want a panic in %s", p, where)
	}
}

func TestPanicWhileAFileIsPackedIsThatOfItsBuild(t *testing.T) {
	before := deflaters.New
	defer func() { deflaters.New = before }()
	deflaters.New = func() any { panic("a fault of ours") }
	for range 2 { // empties the pool
		runtime.GC()
	}
	caughtIn(t, "compress", func() { _, _ = pack(tree{{name: "a.py", content: []byte("1"), size: 1}}) })
}

func TestPanicOverALineOfAProgramIsThatOfItsBuild(t *testing.T) {
	t.Parallel()
	b := builder(t, Config{})
	work, err := b.openWorkshop(script(t, python(t), "six"))
	if err != nil {
		t.Fatal(err)
	}
	log := newBuildLog(func(string) { panic("a fault of ours") })
	caughtIn(t, "lineWriter", func() {
		_, _ = command{path: "/bin/sh", args: []string{"-c", "echo one; echo two"}, work: work}.run(t.Context(), log)
	})
}

func TestPanicWhileTheSizeIsWatchedStopsItsBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		<-watchSize(ctx, t.TempDir(), nil, stop)
		var p *panics.Error
		if !errors.As(context.Cause(ctx), &p) {
			t.Fatalf("the build is stopped by %v", context.Cause(ctx))
		}
		err := (&Builder{}).blame(t.Context(), context.Cause(ctx), script(t, "3.13", "six"), nil)
		var passed *panics.Error
		if !errors.As(err, &passed) || passed != p || outcomeOf(err) != outcomePlatform {
			t.Errorf("it is blamed as %v", err)
		}
	})
}
