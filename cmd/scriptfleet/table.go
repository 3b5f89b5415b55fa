package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/scriptfleet/scriptfleet/cmd/internal/escape"
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

// printable is a text of a request or a script for a terminal.
func printable(s string) string { return escape.Text(s) }

// printableLines is printable, and leaves line feeds.
func printableLines(s string) string { return escape.Lines(s) }

// row writes a row of a table.
func row(w io.Writer, cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			_, _ = io.WriteString(w, "\t")
		}
		_, _ = io.WriteString(w, printable(fmt.Sprint(cell)))
	}
	_, _ = io.WriteString(w, "\n")
}

// printWhole prints a text of others as it is; on a terminal, what that would act
// upon is escaped.
func printWhole(text string) error {
	_, err := io.WriteString(os.Stdout, whole(os.Stdout, text))
	return err
}

// whole is the text as it is printed on the file.
func whole(to *os.File, text string) string {
	if term.IsTerminal(int(to.Fd())) {
		return escape.But(text, "\n\t")
	}
	return text
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
