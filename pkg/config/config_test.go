package config

import (
	"io"
	"strings"
	"testing"
)

func TestWorkerRefusesSettingsOutOfTheirBounds(t *testing.T) {
	for flag, ok := range map[string]bool{
		"--concurrency=0": false, "--concurrency=1": true,
		"--reserve=0": true, "--reserve=-1": false, "--reserve=32": true, "--reserve=33": false,
		"--max-builds=0": false, "--max-parked=0": false, "--max-parked-mb=0": false, "--max-parked-mb=1": true,
		"--visibility=15s": false, "--visibility=20s": true, "--visibility=1h": false,
		"--max-attempts=0": false, "--max-attempts=1": true, "--max-attempts=101": false,
		"--give-up-after=0s": false, "--give-up-after=1m": true, "--give-up-after=100h": false,
	} {
		var w Worker
		if _, err := Parse(&w, []string{flag}, io.Discard, func(int) {}, Options("worker", "")...); err != nil {
			t.Errorf("%s: %v", flag, err)
			continue
		}
		err := w.Check()
		if (err == nil) != ok {
			t.Errorf("%s: %v", flag, err)
		}
		if name, _, _ := strings.Cut(flag, "="); err != nil && !strings.Contains(err.Error(), name+" is ") {
			t.Errorf("%s: %q does not name the flag", flag, err)
		}
	}
}

func TestWorkersDefaultsAreWithinTheirBounds(t *testing.T) {
	var w Worker
	if _, err := Parse(&w, nil, io.Discard, func(int) {}, Options("worker", "")...); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(); err != nil || w.Reserve != nil {
		t.Errorf("%v, reserve %v", err, w.Reserve)
	}
}
