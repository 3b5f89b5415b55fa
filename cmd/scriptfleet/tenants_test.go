package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPauseAndResumeChangeTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tenants.json")
	for _, c := range []struct {
		act, flag string
		code      int
		paused    bool
	}{
		{"pause", "", exitUsage, false}, {"pause", "--tenants=" + file, 0, true}, {"resume", "--tenants=" + file, 0, false}, {"resume", "--tenants=" + file, exitFailed, false},
	} {
		args := []string{"tenants", c.act, "acme"}
		if c.flag != "" {
			args = append(args, c.flag)
		}
		if code := execute(t.Context(), args); code != c.code {
			t.Errorf("%v: exit code %d", args, code)
		}
		text, _ := os.ReadFile(file) // there is none before the first pause
		if strings.Contains(string(text), `"paused": true`) != c.paused {
			t.Errorf("after %v the file is %s", args, text)
		}
	}
}
