package config

import (
	"io"
	"strings"
	"testing"
	"time"
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
		_, err := Parse(&w, []string{flag}, io.Discard, func(int) {}, Options("worker", "")...)
		if err == nil {
			err = w.Check()
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", flag, err)
		}
		if name, _, _ := strings.Cut(flag, "="); err != nil && !strings.Contains(err.Error(), name+" is ") {
			t.Errorf("%s: %q does not name the flag", flag, err)
		}
	}
}

func TestEverySettingRefusesWhatIsOutsideItsBounds(t *testing.T) {
	type settings struct {
		Fleet
		Process
		Dispatcher
		Worker
	}
	var all settings
	parsed, err := Parse(&all, nil, io.Discard, func(int) {}, Options("worker", "")...)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, f := range parsed.Flags() {
		if !bounded(f) {
			continue
		}
		unit := ""
		if f.Target.Type() == durationType {
			unit = "h"
		}
		for _, value := range []string{"-1" + unit, "1000001" + unit} {
			var s settings
			_, err := Parse(&s, []string{"--" + f.Name + "=" + value}, io.Discard, func(int) {}, Options("worker", "")...)
			if err == nil || !strings.Contains(err.Error(), "--"+f.Name+" is ") {
				t.Errorf("--%s=%s: %v", f.Name, value, err)
			}
			tried++
		}
	}
	if tried < 2*15 {
		t.Errorf("only %d values were tried", tried)
	}
}

func TestOnlySettingsHaveEnvironmentVariables(t *testing.T) {
	t.Setenv("SCRIPTFLEET_CONCURRENCY", "7")
	t.Setenv("SCRIPTFLEET_ALL", "true")
	var c struct {
		Worker
		All bool
	}
	if _, err := Parse(&c, nil, io.Discard, func(int) {}, Options("worker", "")...); err != nil || c.Concurrency != 7 || c.All {
		t.Errorf("%v, concurrency %d, all %t", err, c.Concurrency, c.All)
	}
}

func TestANumberWithoutBoundsIsNoFlag(t *testing.T) {
	var c struct{ Loose int }
	if _, err := Parse(&c, nil, io.Discard, func(int) {}, Options("worker", "")...); err == nil || !strings.Contains(err.Error(), "--loose has no bounds") {
		t.Errorf("got %v", err)
	}
}

func TestDurationsTakeDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "d": 0, "-1d": 0, "1.5d": 0, "7": 0} {
		if got, err := ParseDuration(text); got != want || (err == nil) != (want != 0) {
			t.Errorf("%s is %s, %v", text, got, err)
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
