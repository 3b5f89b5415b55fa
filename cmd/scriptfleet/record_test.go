package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRecordMakesABatchOfResults(t *testing.T) {
	dir := t.TempDir()
	results, batch := filepath.Join(dir, "results.jsonl"), filepath.Join(dir, "batch.jsonl")
	const result = `{"specversion":"1.0","type":"scriptfleet.run.finished","source":"/scriptfleet","id":"k","subject":"1","time":"2026-11-29T12:00:01Z","tenant":"acme","data":{"story":"/s","action":"a","status":"succeeded","output":null,"error":null,"logs":{"stdout":"","stderr":"","truncated":false},"attempt":1,"may_have_executed":true,"function":null,"build":{"outcome":"reused","waited_on":null,"log":null},"timings_ms":{"intake":0,"queue":0,"build_wait":0,"build":0,"init":0,"execute":1000,"publish":0,"total":1000}}}` + "\n"
	if err := os.WriteFile(results, []byte(result), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--results", results, "-o", batch}, 0},
		{[]string{"--results", results + ".gone", "-o", batch + ".none"}, exitFailed},
		{[]string{"--results", results, "--queue", "requests"}, exitUsage},
		{nil, exitUsage},
		{[]string{"--queue", "results"}, exitUsage},
	} {
		if code := execute(t.Context(), append([]string{"record"}, c.args...)); code != c.code {
			t.Errorf("record %s: exit code %d", c.args, code)
		}
	}
	text, err := os.ReadFile(batch)
	if err != nil || !strings.Contains(string(text), `"time":"2026-11-29T12:00:00Z"`) || !strings.Contains(string(text), `"source":"/s"`) {
		t.Errorf("%v, the batch is %s", err, text)
	}
	if _, err := os.Stat(batch + ".none"); err == nil {
		t.Error("a batch that could not be made leaves a file")
	}
}
