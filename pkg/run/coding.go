package run

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// coding matches the line that names the encoding of a Python file (PEP 263),
// such as "# coding: latin-1": the first line, or the second if the first is
// blank or a comment. Group 1 is the encoding.
var coding = regexp.MustCompile(`\A(?:[ \t\f]*(?:#.*)?\r?\n)?[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)`)

// checkCoding refuses a script that names an encoding other than UTF-8 and has
// characters outside ASCII. The function holds the script in UTF-8, so Python
// would decode those characters wrongly.
func checkCoding(offer Offer, script string) *Error {
	if offer.Shell || isASCII(script) {
		return nil
	}
	m := coding.FindStringSubmatch(script)
	if m == nil {
		return nil
	}
	switch strings.ReplaceAll(strings.ToLower(m[1]), "_", "-") {
	case "utf-8", "utf8", "utf-8-sig":
		return nil
	}
	return refuse(InvalidScript, "data.script", "data.script says that its encoding is %s, but scripts are UTF-8, so Python would read other characters: take the coding line out.", m[1])
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
