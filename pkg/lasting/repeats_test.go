package lasting

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestRepeatedLinesAreBoundedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		log := zap.New(Repeats(core)).Named("worker")
		for i := range perWindow + 50 {
			log.With(zap.Int("i", i)).Error("it fails", zap.Error(errors.New("down")))
			log.Named(Each).Info("run settled")
			log.Debug("not written")
		}
		log.Error("it fails otherwise")
		if n := logs.FilterMessage("it fails").Len(); n != perWindow {
			t.Errorf("%d lines of one kind are written", n)
		}
		if n := logs.FilterMessage("run settled").Len(); n != perWindow+50 {
			t.Errorf("%d runs of %d have their line", n, perWindow+50)
		}
		if logs.FilterMessage("it fails otherwise").Len() != 1 {
			t.Error("a line of another kind is left out")
		}
		time.Sleep(window)
		synctest.Wait()
		told := logs.FilterMessage(leftOutMsg).All()
		if len(told) != 1 || told[0].Level != zap.ErrorLevel || told[0].ContextMap()["message"] != "it fails" || told[0].ContextMap()["left_out"] != int64(50) {
			t.Fatalf("what was left out: %v", told)
		}
		log.Error("it fails")
		if n := logs.FilterMessage("it fails").Len(); n != perWindow+1 {
			t.Error("the next window leaves its first line out")
		}
		for range perWindow {
			log.Error("it fails")
		}
		if err := log.Sync(); err != nil {
			t.Fatal(err)
		}
		if told := logs.FilterMessage(leftOutMsg).All(); len(told) != 2 || told[1].ContextMap()["left_out"] != int64(1) {
			t.Errorf("at the end: %v", told)
		}
		time.Sleep(window)
		synctest.Wait()
		if n := logs.FilterMessage(leftOutMsg).Len(); n != 2 {
			t.Errorf("%d lines tell what was left out, not 2", n)
		}
	})
}
