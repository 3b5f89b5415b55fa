package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable is s with escapes in place of what a terminal would act upon:
// control characters, characters that turn the direction of text, and bytes that
// are not UTF-8. Texts of requests and scripts are printed by it.
func printable(s string) string { return escaped(s, "") }

// printableLines is printable, and leaves line feeds.
func printableLines(s string) string { return escaped(s, "\n") }

func escaped(s, keep string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strings.ContainsRune(keep, r), !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

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
