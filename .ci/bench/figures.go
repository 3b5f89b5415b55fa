package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// figure is a measured value, and where and when it was measured.
type figure struct {
	Value   float64 `json:"value"`
	Date    string  `json:"date"`
	Commit  string  `json:"commit"`
	Machine string  `json:"machine"`
	Load    float64 `json:"load"` // average of the minute before: processes that want a core
}

// figures are the newest value of each name. The file keeps them between runs,
// so that one measurement can be made anew.
type figures map[string]figure

const figuresFile = ".ci/bench/figures.json"

func readFigures(file string) (figures, error) {
	f := figures{}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return f, nil
}

func (f figures) write(file string) error {
	content, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

// where is what the figures of one run have in common.
type where struct{ date, commit, machine string }

func (w where) figure(value float64) figure {
	return figure{Value: value, Date: w.date, Commit: w.commit, Machine: w.machine, Load: loadAverage()}
}

// here is this machine, now.
func here(commit string, cores int) where {
	return where{time.Now().UTC().Format(time.DateOnly), commit, fmt.Sprintf("%d cores", cores)}
}

// loadAverage is 0 where /proc does not tell.
func loadAverage() (load float64) {
	content, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(content), &load)
	return load
}
