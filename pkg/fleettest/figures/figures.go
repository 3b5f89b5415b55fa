// Package figures hands what a test measures to `make bench`, which prints it
// beside its goal.
package figures

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var file = flag.String("figures", "", "append what is measured to this file as well, one JSON object a line (make bench)")

// Figure is one measured value. Its unit is that of the goal with this name in
// .ci/bench/goals.go.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Record appends a figure to the file of the flag -figures, if there is one.
func Record(t testing.TB, name string, value float64) {
	t.Helper()
	if *file == "" {
		return
	}
	f, err := os.OpenFile(*file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := json.NewEncoder(f).Encode(Figure{name, value}); err != nil {
		t.Fatalf("record %s: %v", name, err)
	}
}
