package main

import (
	"strings"
	"testing"
)

func TestTextIsReadAsWhatItMeans(t *testing.T) {
	const text = "def main(input):\n    return \"ü\"\n"
	for name, content := range map[string]string{
		"UTF-8": text, "UTF-8 with a byte order mark": "\ufeff" + text,
		"UTF-16, little end first": "\xff\xfe" + wide(text, 0, 1), "UTF-16, big end first": "\xfe\xff" + wide(text, 1, 0),
	} {
		if got, err := decodeText([]byte(content)); got != text || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestTextThatCannotBeReadIsRefusedWithItsLine(t *testing.T) {
	for content, want := range map[string]string{
		"a = 1\nb = 'caf\xe9'\n":       "is not UTF-8: line 2 has the byte 0xe9",
		wide("def main(): pass", 0, 1): "UTF-16 without a byte order mark",
		"\xff\xfea":                    "cut off",
	} {
		if got, err := decodeText([]byte(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read as %q, %v", content, got, err)
		}
	}
}

// wide writes each character, of which none is beyond a byte, as two bytes.
func wide(text string, low, high int) string {
	var b strings.Builder
	for _, r := range text {
		var unit [2]byte
		unit[low], unit[high] = byte(r), 0
		b.Write(unit[:])
	}
	return b.String()
}

func TestLinesAreCutToTheTerminal(t *testing.T) {
	if got, want := cut("über alles\nshort\n", 6), "über …\nshort\n"; got != want {
		t.Errorf("got %q, not %q", got, want)
	}
}
