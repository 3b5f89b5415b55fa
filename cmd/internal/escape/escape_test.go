package escape

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestWhatATerminalActsUponIsEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"grüße ☃ 𝄞":             "grüße ☃ 𝄞",
		"\x1b[2Jgone\x07":       `\x1b[2Jgone\a`,
		"a\tb\nc\r":             `a\tb\nc\r`,
		"abc\u202edef\u200b":    `abc\u202edef\u200b`,
		"\u009b31m":             `\u009b31m`,
		"bad \xff\xfe bytes":    `bad \xff\xfe bytes`,
		"\u2028 and \u2029":     `\u2028 and \u2029`,
		"a replacement: \ufffd": "a replacement: \ufffd",
	} {
		if got := Text(text); got != want {
			t.Errorf("%q is printed as %q, not %q", text, got, want)
		}
	}
	if got := Lines("a\n\x1bb\n"); got != "a\n\\x1bb\n" {
		t.Errorf("lines are printed as %q", got)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[31m\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := Text(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("%q is printed as %q", text, got)
		}
	})
}
