package service

import (
	"context"
	"runtime"
	"testing"
	"time"
)

func TestTheCollectorWaitsForTheFloor(t *testing.T) {
	next := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.NextGC
	}
	before, during := next(), uint64(0)
	err := Run(t.Context(), time.Second, Part{Name: "part", Run: func(context.Context, context.Context) error {
		during = next()
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if during < before+floorBytes {
		t.Errorf("the next collection is at %d bytes, and was at %d before", during, before)
	}
}
