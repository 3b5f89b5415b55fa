package queue

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxAttributes is how many attributes a message of SQS may have.
const MaxAttributes = 10

// The attributes of the claim check. On the wire they have the type Number, as
// the official extended clients write them; every other attribute is a String.
// In Message.Attributes they are decimal digits.
const (
	AttributePayloadSize       = "ExtendedPayloadSize"
	AttributeLegacyPayloadSize = "SQSLargePayloadSize"
)

// DataType returns SQS's data type of the attribute of that name.
func DataType(attribute string) string {
	if attribute == AttributePayloadSize || attribute == AttributeLegacyPayloadSize {
		return "Number"
	}
	return "String"
}

// ErrInvalid is the error of Send for a message that no queue takes: its body
// is empty, it has a character that SQS refuses, too many or empty attributes,
// or a delay out of range. Sending it again fails again.
var ErrInvalid = errors.New("queue: the message is not valid")

// Size returns the bytes that count toward a queue's MaxBytes: the body, and
// the name, type and value of each attribute.
func (m Message) Size() int {
	n := len(m.Body)
	for name, value := range m.Attributes {
		n += len(name) + len(DataType(name)) + len(value)
	}
	return n
}

// Validate checks the message for a queue whose MaxBytes is maxBytes. It
// returns an error that wraps ErrTooLarge or ErrInvalid, or nil. Adapters call
// it before they send, so that a message fails in the same way on every queue.
func (m Message) Validate(maxBytes int) error {
	if n := m.Size(); n > maxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, maxBytes)
	}
	if len(m.Body) == 0 {
		return fmt.Errorf("%w: its body is empty", ErrInvalid)
	}
	if len(m.Attributes) > MaxAttributes {
		return fmt.Errorf("%w: %d attributes, at most %d", ErrInvalid, len(m.Attributes), MaxAttributes)
	}
	if m.Delay < 0 || m.Delay > MaxDelay {
		return fmt.Errorf("%w: a delay of %s, at most %s", ErrInvalid, m.Delay, MaxDelay)
	}
	if len(m.Group) > 128 {
		return fmt.Errorf("%w: a group of %d characters, at most 128", ErrInvalid, len(m.Group))
	}
	if i := badByte(m.Body); i >= 0 {
		return fmt.Errorf("%w: the character at byte %d of its body", ErrInvalid, i)
	}
	for name, value := range m.Attributes {
		if name == "" || value == "" {
			return fmt.Errorf("%w: its attribute %q is empty", ErrInvalid, name)
		}
		if i := badByte([]byte(value)); i >= 0 {
			return fmt.Errorf("%w: the character at byte %d of its attribute %s", ErrInvalid, i, name)
		}
	}
	return nil
}

// badByte returns the index of the first character that SQS refuses, or -1. SQS
// takes U+9, U+A, U+D, U+20–U+D7FF, U+E000–U+FFFD and U+10000–U+10FFFF.
func badByte(s []byte) int {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
			return i
		}
		i += size
	}
	return -1
}
