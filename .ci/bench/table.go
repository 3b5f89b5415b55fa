package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func (g goal) show(value float64) string {
	format := g.format
	if format == "" {
		format = "%.2f"
	}
	return strings.TrimSpace(fmt.Sprintf(format, value) + " " + g.unit)
}

// target is the goal in words.
func (g goal) target() string {
	switch {
	case g.least > 0:
		return "≥ " + g.show(g.least)
	case g.most > 0:
		return "≤ " + g.show(g.most)
	}
	return "–"
}

// row are the columns of a line: what, before, measured, goal, met.
func (g goal) row(f figures) []string {
	before := "–"
	if g.before > 0 {
		before = g.show(g.before)
	}
	got, ok := f[g.figure]
	if !ok {
		return []string{g.what, before, "not measured", g.target(), ""}
	}
	met := ""
	switch {
	case g.target() == "–":
	case g.met(got.Value):
		met = "met"
	default:
		met = "short"
	}
	return []string{g.what, before, g.show(got.Value), g.target(), met}
}

var head = []string{"what", "before", "measured", "goal", ""}

// print writes the lines that have one of the figures' names, or all.
func printTable(out io.Writer, f figures, named []string) {
	rows := [][]string{head}
	for _, g := range goals {
		if len(named) == 0 || slices.Contains(named, g.figure) {
			rows = append(rows, g.row(f))
		}
	}
	var widths [5]int
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%s%s  ", cell, strings.Repeat(" ", widths[i]-len([]rune(cell))))
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// markdown is the table for BENCHMARKS.md. Commit, date and load are those of
// each line: lines may be measured one by one.
func markdown(f figures) string {
	var b strings.Builder
	b.WriteString("| what | before | measured | goal | | date, commit, load |\n|---|---|---|---|---|---|\n")
	for _, g := range goals {
		row := g.row(f)
		if row[4] == "met" {
			row[2] = "**" + row[2] + "**"
		}
		from := ""
		if got, ok := f[g.figure]; ok {
			from = fmt.Sprintf("%s, %s, %.0f", got.Date, got.Commit, got.Load)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(row, " | "), from)
	}
	return b.String()
}

// replace puts text between the two marks of a part of a document.
func replace(document, part, text string) (string, error) {
	begin, end := fmt.Sprintf("<!-- %s: make bench-update writes this -->\n", part), fmt.Sprintf("<!-- end of %s -->", part)
	before, rest, found := strings.Cut(document, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("there is no part between %q and %q", strings.TrimSpace(begin), end)
	}
	return before + begin + text + end + after, nil
}

// update replaces a part of a file.
func update(file, part, text string) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	updated, err := replace(string(document), part, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(updated), 0o644)
}
