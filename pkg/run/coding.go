package run

import (
	"regexp"
	"strings"
)

// coding is the line by which a Python file names its encoding (PEP 263): the
// first, or the second after a line of comment or none.
var coding = regexp.MustCompile(`\A(?:[ \t\f]*(?:#.*)?\r?\n)?[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)`)

// checkCoding refuses a script whose characters Python would read as others: it
// comes as text, and is in its function as UTF-8.
func checkCoding(offer Offer, script string) *Error {
	m := coding.FindStringSubmatch(script)
	if offer.Shell || m == nil || isASCII(script) {
		return nil
	}
	switch strings.ReplaceAll(strings.ToLower(m[1]), "_", "-") {
	case "utf-8", "utf8", "utf-8-sig":
		return nil
	}
	return refuse(InvalidScript, "data.script", "data.script says that its encoding is %s, but scripts are UTF-8, so Python would read other characters: take the coding line out", m[1])
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0
}
