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

// The functions of this file read JSON whose syntax [checkJSON] has checked.
// encoding/json is not strict enough: it takes the last of two fields of one
// name, ignores the case of names, and replaces half of a surrogate pair by
// U+FFFD. Each of these could execute another script than the tenant sent.

// checkJSON fails for a body that is not one JSON object.
func checkJSON(body []byte) *Error {
	if !json.Valid(body) {
		return refuse(InvalidJSON, "", "The body is not JSON (%s): send one JSON object, in UTF-8.", syntaxOf(body))
	}
	if k := kindOf(trimSpace(body)); k != "an object" {
		return refuse(InvalidJSON, "", "The body is %s: send one JSON object.", k)
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

// kindOf names the type of a JSON value, for messages.
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

// members returns the fields of a JSON object: each name with its quotes, and
// each value without space around it.
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

// valueEnd returns the length of the JSON value at the start of b.
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

// stringEnd returns the length of the JSON string at the start of b. The string
// ends at the first quote with an even number of backslashes before it.
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

// nesting returns the depth of the objects and arrays of a value, and the
// length of the longest sequence of digits outside of its strings.
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

// unquote decodes a JSON string. It fails for invalid UTF-8 and for half of a
// surrogate pair.
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

// unescape decodes the escape at the start of b and returns its length, which
// is 0 for half of a surrogate pair.
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
