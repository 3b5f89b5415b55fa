package main

import (
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/scriptfleet/scriptfleet/pkg/config"
)

// leaves are the commands that do something, with what they need at least.
func leaves(t *testing.T) map[*kong.Node][]string {
	t.Helper()
	parser, err := kong.New(&commands{}, config.Options("scriptfleet", "")...)
	if err != nil {
		t.Fatal(err)
	}
	found := map[*kong.Node][]string{}
	for _, n := range parser.Model.Leaves(true) {
		args := strings.Fields(strings.TrimPrefix(n.FullPath(), "scriptfleet"))
		for _, p := range n.Positional {
			if p.Required {
				args = append(args, "x")
			}
		}
		for _, f := range n.Flags {
			if f.Required {
				args = append(args, "--"+f.Name+"=x")
			}
		}
		found[n] = args
	}
	return found
}

func TestEveryCommandHasExamplesAndPrintsJSON(t *testing.T) {
	for n := range leaves(t) {
		if !strings.Contains(n.Detail, "Examples:\n\n  scriptfleet "+strings.TrimPrefix(n.Path(), "scriptfleet ")) {
			t.Errorf("%s: its help begins no example with the command itself: %q", n.Path(), n.Detail)
		}
		json := false
		for _, f := range n.Flags {
			json = json || f.Name == "json"
			if f.Help == "" {
				t.Errorf("%s: --%s has no help", n.Path(), f.Name)
			}
		}
		if !json && !slices.Contains([]string{"record", "completion", "schema"}, n.Path()) { // what these print is for other programs
			t.Errorf("%s has no --json", n.Path())
		}
	}
}

func TestEveryFlagRefusesWhatIsOutsideItsBounds(t *testing.T) {
	tried, seen := 0, map[string]bool{} // many commands share their flags
	for n, args := range leaves(t) {
		for _, f := range n.Flags {
			flag := f.Name + f.Tag.Get("min") + f.Tag.Get("max")
			if !f.Tag.Has("min") || seen[flag] {
				continue
			}
			seen[flag] = true
			if !strings.Contains(f.Help, "("+f.Tag.Get("min")+" to "+f.Tag.Get("max")+")") {
				t.Errorf("%s: the help of --%s does not tell its bounds: %s", n.Path(), f.Name, f.Help)
			}
			below, above := "-1", f.Tag.Get("max")+"0"
			if f.Target.Type() == reflect.TypeFor[*int]() || f.Target.Kind() == reflect.Int64 {
				above = "9" + f.Tag.Get("max")
			}
			if f.Target.Kind() == reflect.Int64 {
				below = "-1s"
			}
			for _, value := range []string{below, above} {
				var c commands
				_, err := config.Parse(&c, append(args[:len(args):len(args)], "--"+f.Name+"="+value), io.Discard, func(int) {}, config.Options("scriptfleet", "")...)
				if err == nil || !strings.Contains(err.Error(), "--"+f.Name) {
					t.Errorf("%s --%s=%s: %v", n.Path(), f.Name, value, err)
				}
				tried++
			}
		}
	}
	if tried < 50 {
		t.Errorf("only %d values were tried", tried)
	}
}
