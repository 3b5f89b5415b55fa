package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions here walk JSON text that [checkJSON] has passed, so none of them
// has to doubt its syntax. encoding/json alone would not do: it takes the last
// of two equal names, ignores their case, makes U+FFFD of half a surrogate pair,
// and so would execute another script than the tenant sent.

// checkJSON fails for a body that is not one JSON object.
func checkJSON(body []byte) *Error {
	if !json.Valid(body) {
		return refuse(InvalidJSON, "", "the body is not JSON (%s): send one JSON object, in UTF-8", syntaxOf(body))
	}
	if k := kindOf(trimSpace(body)); k != "an object" {
		return refuse(InvalidJSON, "", "the body is %s: send one JSON object", k)
	}
	return nil
}

func syntaxOf(body []byte) string {
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Error() + ", at byte " + strconv.FormatInt(syntax.Offset, 10)
	}
	return "it can't be read"
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	return b
}

// kindOf names what a value is, as messages do.
func kindOf(v []byte) string {
	switch v[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func isNull(v []byte) bool { return v[0] == 'n' }

// members are the names (quoted) and the values of an object's text; values have
// no space around them.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		b := trimSpace(trimSpace(object)[1:])
		for b[0] != '}' {
			n := valueEnd(b)
			name := b[:n]
			b = trimSpace(b[n:])
			b = trimSpace(b[1:]) // the colon
			n = valueEnd(b)
			if !yield(name, b[:n]) {
				return
			}
			b = trimSpace(b[n:])
			if b[0] == ',' {
				b = trimSpace(b[1:])
			}
		}
	}
}

// valueEnd is the length of the value that b begins with.
func valueEnd(b []byte) int {
	switch b[0] {
	case '"':
		return stringEnd(b)
	case '{', '[':
		return nestEnd(b)
	}
	for i, c := range b {
		if c == ',' || c == '}' || c == ']' || isSpace(c) {
			return i
		}
	}
	return len(b)
}

// stringEnd finds the first quote with an even number of backslashes before it.
func stringEnd(b []byte) int {
	for end := 1; ; end++ {
		end += bytes.IndexByte(b[end:], '"')
		escapes := 0
		for b[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end + 1
		}
	}
}

func nestEnd(b []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// nesting tells how deep the objects and arrays of a value lie in each other,
// and how long its longest number is.
func nesting(v []byte) (deepest, longest int) {
	depth, number := 0, 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			i += stringEnd(v[i:]) - 1
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		case c >= '0' && c <= '9':
			number++
			longest = max(longest, number)
			continue
		}
		number = 0
	}
	return deepest, longest
}

// unquote reads a string's text. It fails for bytes that are no UTF-8 and for
// half of a surrogate pair: no text has those in it.
func unquote(quoted []byte) (string, bool) {
	b := quoted[1 : len(quoted)-1]
	if !utf8.Valid(b) {
		return "", false
	}
	var s strings.Builder
	s.Grow(len(b))
	for i := 0; i < len(b); {
		run := bytes.IndexByte(b[i:], '\\')
		if run < 0 {
			run = len(b) - i
		}
		s.Write(b[i : i+run])
		if i += run; i == len(b) {
			break
		}
		r, n := unescape(b[i:])
		if n == 0 {
			return "", false
		}
		s.WriteRune(r)
		i += n
	}
	return s.String(), true
}

// unescape reads the escape that b begins with, and tells its length; 0 where it
// is half of a surrogate pair.
func unescape(b []byte) (rune, int) {
	switch b[1] {
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'u':
		return unescapeUnicode(b)
	}
	return rune(b[1]), 2 // a quote, a slash or a backslash
}

func unescapeUnicode(b []byte) (rune, int) {
	r := hex4(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
		return 0, 0
	}
	r = utf16.DecodeRune(r, hex4(b[8:]))
	if r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

func hex4(b []byte) rune {
	n, _ := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n)
}
