package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/runtimetest"
)

func TestARuntimeThatCannotWorkIsNotAdded(t *testing.T) {
	table := filepath.Join(t.TempDir(), "runtimes.json")
	bad := files.Write(t, "bad.zip", string(runtimetest.Zip(t, runtimetest.Entry{Name: "../bin/python3"})))
	for _, args := range [][]string{
		{"add", "own", "--zip", bad, "--runtimes", table}, {"add", "python3.13", "--zip", bad, "--runtimes", table}, {"add", "No Name", "--zip", bad, "--runtimes", table},
		{"add", "own", "--zip", bad}, {"add", "own", "--zip", bad, "--runtimes", table, "--tenant", "no tenant"},
		{"remove", "own", "--runtimes", table}, {"remove", "own"},
	} {
		if code := execute(t.Context(), append([]string{"runtimes"}, args...)); code != exitUsage {
			t.Errorf("runtimes %q exits %d", args, code)
		}
	}
	if _, err := os.Stat(table); !os.IsNotExist(err) {
		t.Errorf("the table is there: %v", err)
	}
}

func TestAnEditOfTheTableLeavesTheRestAsItIs(t *testing.T) {
	table := filepath.Join(t.TempDir(), "runtimes.json")
	const other = `{"name": "phishing", "lambda": "python3.13", "python": "3.13", "platform": "manylinux_2_34", "requirements": ["requests==2.32.3"]}`
	if err := os.WriteFile(table, []byte(`{"runtimes": [`+other+`]}`), 0o640); err != nil {
		t.Fatal(err)
	}
	added := `{"name": "own", "lambda": "provided.al2023", "python": "3.13", "platform": "manylinux_2_34", "zip": "` + strings.Repeat("a", 64) + `"}`
	add := func(entry string) error {
		return editTable(table, func(all []json.RawMessage) ([]json.RawMessage, error) {
			return append(all, json.RawMessage(entry)), nil
		})
	}
	if err := add(added); err != nil {
		t.Fatal(err)
	}
	before := files.Read(t, table)
	if add(`{"name": "faulty"}`) == nil || files.Read(t, table) != before {
		t.Errorf("a faulty entry is in the table: %s", files.Read(t, table))
	}
	if code := execute(t.Context(), []string{"runtimes", "remove", "own", "--runtimes", table, "--json"}); code != 0 {
		t.Errorf("remove exits %d", code)
	}
	var left struct{ Runtimes []json.RawMessage }
	if err := json.Unmarshal([]byte(files.Read(t, table)), &left); err != nil || len(left.Runtimes) != 1 || !same(left.Runtimes[0], json.RawMessage(other)) {
		t.Errorf("left is %s", files.Read(t, table))
	}
	if info, err := os.Stat(table); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}
