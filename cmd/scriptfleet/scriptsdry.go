package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// wouldPush is what a push would change, in JSON output.
type wouldPush struct {
	ID         string            `json:"id"`
	Version    run.ScriptVersion `json:"version"`
	Latest     run.ScriptVersion `json:"latest"`     // today's; empty for a new script
	Difference string            `json:"difference"` // empty: nothing changes
}

// dry shows what the pushes would change, and changes nothing.
func (c *scriptsPush) dry(ctx context.Context, scripts *registry.Registry, pushes []registry.Push) error {
	var would []wouldPush
	for _, p := range pushes {
		e, err := scripts.Entry(ctx, p.Name)
		if err != nil {
			return err
		}
		var before run.Pushed
		if e.Latest != "" {
			if before, err = scripts.Read(ctx, p.Name, run.Reference{ID: p.Name.ID}, ""); err != nil {
				return plainly(err)
			}
		}
		would = append(would, wouldPush{p.Name.ID, p.Pushed.Version(), e.Latest, differenceOf(p, e, before)})
	}
	if c.JSON {
		return printLines(would, asIs[wouldPush])
	}
	for _, w := range would {
		switch {
		case w.Difference == "":
			fmt.Printf("%s: unchanged\n", w.ID)
		case w.Latest == "":
			fmt.Printf("%s: new\n%s", w.ID, w.Difference)
		default:
			fmt.Printf("%s: changed\n%s", w.ID, w.Difference)
		}
	}
	return nil
}

func differenceOf(p registry.Push, e registry.Entry, before run.Pushed) string {
	var b strings.Builder
	setting := func(what, from, to string) {
		if from != to {
			fmt.Fprintf(&b, "%s: %q → %q\n", what, from, to)
		}
	}
	setting("runtime", before.Runtime, p.Pushed.Runtime)
	setting("timeout", fmt.Sprint(before.TimeoutSeconds), fmt.Sprint(p.Pushed.TimeoutSeconds))
	if p.Sharing != nil {
		setting("may run", strings.Join(e.Allow, ", "), strings.Join(p.Sharing.Allow, ", "))
		setting("may run and read", strings.Join(e.Readers, ", "), strings.Join(p.Sharing.Readers, ", "))
	}
	if p.Label != "" {
		setting("label "+p.Label, string(e.Labels[p.Label]), string(p.Pushed.Version()))
	}
	b.WriteString(difference("requirements", before.Requirements, p.Pushed.Requirements))
	b.WriteString(difference("script", before.Source, p.Pushed.Source))
	return b.String()
}

// mostCompared bounds the comparison of lines, in pairs. Beyond it all lines
// between the first and the last that differ are shown as replaced.
const mostCompared = 4_000_000

// difference shows which lines differ: removed ones with -, added ones with +,
// and where they are.
func difference(what, before, after string) string {
	if before == after {
		return ""
	}
	old, new := lines(before), lines(after)
	first := 0
	for first < len(old) && first < len(new) && old[first] == new[first] {
		first++
	}
	last := 0
	for last < len(old)-first && last < len(new)-first && old[len(old)-1-last] == new[len(new)-1-last] {
		last++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n", what)
	compare(&b, first, old[first:len(old)-last], new[first:len(new)-last])
	return b.String()
}

func lines(text string) []string { return slices.Collect(strings.Lines(text)) }

// compare writes the differences by the longest common subsequence.
func compare(b *strings.Builder, at int, old, new []string) {
	if len(old)*len(new) > mostCompared {
		hunk(b, at, old, new)
		return
	}
	// common[i][j] is the length of the longest common subsequence of old[i:]
	// and new[j:].
	common := make([][]int32, len(old)+1)
	for i := range common {
		common[i] = make([]int32, len(new)+1)
	}
	for i := len(old) - 1; i >= 0; i-- {
		for j := len(new) - 1; j >= 0; j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); old[i] == new[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	i, j := 0, 0
	for i < len(old) || j < len(new) {
		from, to := i, j
		for i < len(old) || j < len(new) {
			if i < len(old) && j < len(new) && old[i] == new[j] {
				break
			}
			if j == len(new) || i < len(old) && common[i+1][j] >= common[i][j+1] {
				i++
			} else {
				j++
			}
		}
		hunk(b, at+to, old[from:i], new[to:j])
		for i < len(old) && j < len(new) && old[i] == new[j] {
			i, j = i+1, j+1
		}
	}
}

// hunk writes lines that were replaced, at a line of the new text.
func hunk(b *strings.Builder, at int, old, new []string) {
	if len(old)+len(new) == 0 {
		return
	}
	fmt.Fprintf(b, "@@ line %d @@\n", at+1)
	write(b, "-", old)
	write(b, "+", new)
}

func write(b *strings.Builder, sign string, part []string) {
	for _, line := range part {
		b.WriteString(sign + strings.TrimSuffix(line, "\n") + "\n")
	}
}
