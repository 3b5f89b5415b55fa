package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/cmd/internal/replay"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// evil is what a request may hold to act upon the terminal of who looks at it: it
// clears the screen, forges a line, and turns the direction of what follows.
const evil = "acme\x1b[2J\nforged line\r\u202e\u009b31m"

// TestNothingOfARequestActsUponATerminal prints texts of requests by every command
// that shows them.
func TestNothingOfARequestActsUponATerminal(t *testing.T) {
	now := time.Now()
	summary := ledger.Summary{
		Run: "k", Tenant: evil, Source: evil, ID: evil, Action: evil, At: now, Status: run.Failed,
		ErrorOwner: run.OwnerAuthor, ErrorType: evil, Runtime: evil, Worker: evil, Attempt: 1,
	}
	cells := func(cells ...any) func(io.Writer) {
		return func(io.Writer) { must(t, printTable(func(w io.Writer) { row(w, cells...) })) }
	}
	for command, show := range map[string]func(io.Writer){
		"explain": func(w io.Writer) {
			printExplanation(w, look.Explanation{Run: evil, Tenant: evil, Source: evil, ID: evil, State: "claimed", Since: now, Worker: evil, Text: "It waits."})
		},
		"runs list": cells(now, summary.Tenant, summary.Action, summary.Run, errorOf(summary)),
		"runs show": func(w io.Writer) { printRun(w, summary) },
		"status": func(w io.Writer) {
			s := look.Status{
				Where: evil, At: now, Differences: []string{evil}, Oldest: &look.OpenRun{Run: "k", Tenant: evil, State: "queued"},
				Processes: []look.Process{{Role: "worker", Name: evil, Reason: evil}}, Backlogs: []look.Backlog{{Tenant: evil, Open: 1}, {Tenant: evil, Open: 2}},
			}
			writeStatus(w, s)
		},
		"tenants":  cells(evil, "paused", 1),
		"dlq list": cells("letter", now, evil, evil, evil),
		"replay": func(w io.Writer) {
			r := replay.Report{
				Label: evil, ReceiveErrors: 1, ReceiveError: evil, Tenants: []replay.TenantReport{{Tenant: evil, Runs: 1}},
				Builds: replay.BuildReport{Again: []replay.ScriptReport{{Hash: "h", Tenant: evil, Built: 2}}},
			}
			must(t, r.Print(w))
		},
	} {
		t.Run(command, func(t *testing.T) {
			var b bytes.Buffer
			text := printed(t, func() { show(&b) }) + b.String()
			if !strings.Contains(text, "acme") {
				t.Fatalf("the text is not shown: %q", text)
			}
			if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) }) {
				t.Errorf("a terminal acts upon %q", text)
			}
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "forged line") {
					t.Errorf("a request writes a line of its own: %q", text)
				}
			}
		})
	}
}

// printed is what f writes to standard output.
func printed(t *testing.T, f func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	must(t, err)
	real := os.Stdout
	os.Stdout = file
	defer func() { os.Stdout = real }()
	f()
	must(t, file.Close())
	text, err := os.ReadFile(file.Name())
	must(t, err)
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
