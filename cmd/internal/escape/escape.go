// Package escape makes texts of requests and scripts fit for a terminal.
package escape

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is s with escapes in place of what a terminal would act upon:
// control characters, characters that turn the direction of text, and bytes that
// are not UTF-8. A command prints
// nothing of a request or a script otherwise.
func Text(s string) string { return But(s, "") }

// Lines is Text, and leaves line feeds.
func Lines(s string) string { return But(s, "\n") }

// But is Text, and leaves the characters of keep.
func But(s, keep string) string {
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
