package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"
)

// printTable prints rows, with tabs between their cells, as columns.
func printTable(rows func(io.Writer)) error {
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	rows(table)
	if err := table.Flush(); err != nil {
		return err
	}
	return printFitted(b.String())
}

// printFitted prints text; on a terminal it cuts lines at the terminal's width.
func printFitted(text string) error {
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width > 20 {
		text = cut(text, width)
	}
	_, err := fmt.Print(printableLines(text))
	return err
}

// printWhole prints a text of others as it is; on a terminal, what that would act
// upon is escaped.
func printWhole(text string) error {
	if term.IsTerminal(int(os.Stdout.Fd())) {
		text = escaped(text, "\n\t")
	}
	_, err := fmt.Print(text)
	return err
}

// cut shortens lines to width characters.
func cut(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if r := []rune(strings.TrimSuffix(line, "\n")); len(r) > width {
			line = string(r[:width-1]) + "…\n"
		}
		b.WriteString(line)
	}
	return b.String()
}
