package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf16"
	"unicode/utf8"
)

// readText reads a text file, or standard input for "-". It accepts what
// editors and PowerShell write: UTF-16 with a byte order mark, and UTF-8 with
// or without one.
func readText(name string) (string, error) {
	var content []byte
	var err error
	if name == "-" {
		content, err = io.ReadAll(os.Stdin)
	} else {
		content, err = os.ReadFile(name)
	}
	if err != nil {
		return "", err
	}
	text, err := decodeText(content)
	if err != nil {
		return "", fmt.Errorf("%s %w", name, err)
	}
	return text, nil
}

func decodeText(content []byte) (string, error) {
	for _, utf16 := range []struct {
		mark  string
		order binary.ByteOrder
	}{{"\xff\xfe", binary.LittleEndian}, {"\xfe\xff", binary.BigEndian}} {
		if rest, ok := bytes.CutPrefix(content, []byte(utf16.mark)); ok {
			return decodeUTF16(rest, utf16.order)
		}
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if bytes.IndexByte(content, 0) >= 0 {
		return "", errors.New("has NUL bytes, as UTF-16 without a byte order mark does: save it as UTF-8")
	}
	line := 1
	for rest := content; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			return "", fmt.Errorf("is not UTF-8: line %d has the byte 0x%02x; save it as UTF-8, without a coding line that says otherwise", line, rest[0])
		}
		if r == '\n' {
			line++
		}
		rest = rest[size:]
	}
	return string(content), nil
}

func decodeUTF16(content []byte, order binary.ByteOrder) (string, error) {
	if len(content)%2 != 0 {
		return "", errors.New("begins as UTF-16 does and is cut off: save it as UTF-8")
	}
	units := make([]uint16, len(content)/2)
	for i := range units {
		units[i] = order.Uint16(content[2*i:])
	}
	return string(utf16.Decode(units)), nil
}
