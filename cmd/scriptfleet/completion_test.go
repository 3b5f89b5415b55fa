package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/scriptfleet/scriptfleet/pkg/config"
)

// shells are the shells with what makes them print the candidates for a command
// line, one a line, after the completion was read.
var shells = map[string]struct{ before, ask string }{
	"bash": {"", `
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _scriptfleet; printf '%s\n' "${COMPREPLY[@]}"; }`},
	// Outside of an editor zsh completes nothing, so what offers candidates is
	// replaced by what prints them.
	"zsh": {`
compdef() { }; compset() { }; _files() { print -l -- *(N) }; _message() { }
compadd() { shift; print -l -- "$@" }
_describe() { print -l -- ${(P)2%%:*} }`, `
ask() { words=("$@"); CURRENT=$#; _scriptfleet; }`},
	"fish": {"", `
function ask; complete -C (string join ' ' -- $argv) | string replace -r '\t.*' ''; end`},
}

// complete returns the candidates for each of the lines, whose last word is what
// is completed.
func complete(t *testing.T, shell string, lines [][]string) [][]string {
	t.Helper()
	var script strings.Builder
	script.WriteString(shells[shell].before + "\n")
	if err := writeCompletion(&script, shell, model(t)); err != nil {
		t.Fatal(err)
	}
	script.WriteString(shells[shell].ask + "\n")
	for _, words := range lines {
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = singleQuoted(w)
		}
		fmt.Fprintf(&script, "ask scriptfleet %s\necho -----\n", strings.Join(quoted, " "))
	}
	cmd := exec.CommandContext(t.Context(), shell)
	if shell == "fish" {
		cmd.Args = append(cmd.Args, "--no-config")
	}
	cmd.Dir, cmd.Stdin = t.TempDir(), strings.NewReader(script.String())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v, %s (make setup installs it)", shell, err, stderr.String())
	}
	var all [][]string
	for answer := range strings.SplitSeq(strings.TrimSuffix(string(out), "-----\n"), "-----\n") {
		all = append(all, strings.Fields(answer))
	}
	if len(all) != len(lines) {
		t.Fatalf("%s: %d answers to %d lines", shell, len(all), len(lines))
	}
	return all
}

func model(t *testing.T) *kong.Node {
	t.Helper()
	parser, err := kong.New(&commands{}, config.Options("scriptfleet", "")...)
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Node
}

func TestEveryShellCompletesEveryCommandAndFlag(t *testing.T) {
	var lines, want [][]string
	for _, c := range completedOf(model(t), "") {
		var names, flags []string
		for _, sub := range c.Commands {
			names = append(names, sub.Name)
		}
		for _, f := range c.Flags {
			flags = append(flags, "--"+f.Name)
		}
		if len(names) > 0 {
			lines, want = append(lines, append(strings.Fields(c.Path), "")), append(want, names)
		}
		lines, want = append(lines, append(strings.Fields(c.Path), "--")), append(want, flags)
	}
	if len(lines) < 30 {
		t.Fatalf("only %d lines are tried", len(lines))
	}
	for shell := range shells {
		t.Run(shell, func(t *testing.T) {
			for i, got := range complete(t, shell, lines) {
				slices.Sort(got)
				slices.Sort(want[i])
				if !slices.Equal(got, want[i]) {
					t.Errorf("%s: %v, not %v", lines[i], got, want[i])
				}
			}
		})
	}
}

func TestShellsCompleteValuesAndGoByWhatStandsBefore(t *testing.T) {
	cases := []struct {
		line  []string
		want  string
		never string
	}{
		{[]string{"replay", "--arrivals", ""}, "even poisson", ""},
		{[]string{"runs", "list", "--status", ""}, "timed_out", "list"},
		{[]string{"runs", "--tenant", "show", ""}, "list show", ""}, // a flag's value is no command
		{[]string{"completion", ""}, "bash zsh fish", ""},
		{[]string{"dlq", "list", "--prefix", ""}, "", "list"},
		{[]string{"runs", "--"}, "--status", "--arrivals"}, // list is the default
		{[]string{"completion", "--"}, "--help", "--json"},
	}
	lines := make([][]string, len(cases))
	for i, c := range cases {
		lines[i] = c.line
	}
	for shell := range shells {
		for i, got := range complete(t, shell, lines) {
			for _, word := range strings.Fields(cases[i].want) {
				if !slices.Contains(got, word) {
					t.Errorf("%s, %s: %v has no %s", shell, lines[i], got, word)
				}
			}
			if slices.Contains(got, cases[i].never) {
				t.Errorf("%s, %s: %v", shell, lines[i], got)
			}
		}
	}
}
