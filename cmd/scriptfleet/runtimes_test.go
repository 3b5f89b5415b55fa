package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/config"
)

func TestTheOperatorsTableExtendsTheRuntimes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runtimes.json")
	text := `{"runtimes": [
		{"name": "phishing", "base": "", "lambda": "python3.13", "python": "3.13", "platform": "manylinux_2_34", "requirements": ["requests==2.32.3"]},
		{"name": "python3.12", "lambda": "python3.12", "python": "3.12", "platform": "manylinux_2_34", "deprecated": "2026-01-01", "create_blocked": "2026-03-01"}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list := runtimesList{RuntimeTable: config.RuntimeTable{RuntimesFile: file}, AllowRetired: true}
	catalog, err := list.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, o := range catalog {
		states[o.Name] = list.shown(o, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)).State
	}
	for name, want := range map[string]string{"phishing": "offered", "python3.13": "offered", "python3.12": "deprecated"} {
		if states[name] != want {
			t.Errorf("%s is %q, not %s", name, states[name], want)
		}
	}
	list.AllowRetired = false
	if o, _ := catalog.Find("python3.12"); list.shown(o, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)).State != "retired" {
		t.Error("a runtime that the fleet refuses is not retired")
	}
	for _, args := range [][]string{{"runtimes", "list", "--runtimes", file}, {"runtimes", "list", "--json"}} {
		if code := execute(t.Context(), args); code != 0 {
			t.Errorf("%v exits %d", args, code)
		}
	}
	if err := os.WriteFile(file, []byte(`{"runtimes": [{"name": "x"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := execute(t.Context(), []string{"runtimes", "list", "--runtimes", file}); code != exitUsage {
		t.Errorf("a faulty table: exit code %d", code)
	}
}
