package localaws

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestASweepRemovesWhatACrashLeftAndNothingElse(t *testing.T) {
	in := t.TempDir()
	t.Setenv("TMPDIR", in)
	used, err := newScratch()
	if err != nil {
		t.Fatal(err)
	}
	left, other := filepath.Join(in, scratchPrefix+"left"), filepath.Join(in, "other")
	for _, dir := range []string{filepath.Join(left, "function"), other} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	there := func(dir string) bool { _, err := os.Stat(dir); return err == nil }
	sweepScratch(in, time.Now().Add(-scratchGrace))
	if !there(left) {
		t.Error("a folder that may be about to be locked is gone")
	}
	sweepScratch(in, time.Now().Add(time.Second))
	if there(left) || !there(used.dir) || !there(other) {
		t.Errorf("left is there: %t; used: %t; another's: %t", there(left), there(used.dir), there(other))
	}
	if err := used.remove(); err != nil || there(used.dir) {
		t.Errorf("the folder stays: %v", err)
	}
}
