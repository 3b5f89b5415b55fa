package queue

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxAttributes is how many attributes SQS takes on a message.
const MaxAttributes = 10

// These attributes of the claim check are numbers on the wire, as the official
// extended clients write them; every other attribute is a string. Here, as
// everywhere, their value is its decimal digits.
const (
	AttributePayloadSize       = "ExtendedPayloadSize"
	AttributeLegacyPayloadSize = "SQSLargePayloadSize"
)

// DataType is SQS's type of the attribute of that name.
func DataType(attribute string) string {
	if attribute == AttributePayloadSize || attribute == AttributeLegacyPayloadSize {
		return "Number"
	}
	return "String"
}

// ErrInvalid is why an entry's Send fails when no queue would take the message,
// however often it is sent: an empty body, a character that SQS does not take,
// too many or empty attributes, a delay out of range.
var ErrInvalid = errors.New("queue: the message is not valid")

// Size is what counts toward a queue's MaxBytes: the body, and the name, type and
// value of each attribute.
func (m Message) Size() int {
	n := len(m.Body)
	for name, value := range m.Attributes {
		n += len(name) + len(DataType(name)) + len(value)
	}
	return n
}

// Validate says whether a queue takes the message that takes up to maxBytes: nil,
// ErrTooLarge or ErrInvalid. Adapters refuse what it refuses before they call, so that the
// same message fails in the same way on every queue.
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

// badByte is the place of the first character outside those that SQS takes
// (U+9, U+A, U+D, U+20–U+D7FF, U+E000–U+FFFD, U+10000–U+10FFFF), or -1.
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
