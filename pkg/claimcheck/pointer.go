package claimcheck

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The class names by which the official clients recognise a pointer.
const (
	class       = "software.amazon.payloadoffloading.PayloadS3Pointer"
	legacyClass = "com.amazon.sqs.javamessaging.MessageS3Pointer"
)

// maxKey is the longest key that S3 takes, in bytes.
const maxKey = 1024

// pointer is the place of a body.
type pointer struct {
	Bucket string `json:"s3BucketName"`
	Key    string `json:"s3Key"`
}

// encode returns the message body of the pointer, the same bytes that the
// official Java client writes.
func (p pointer) encode() []byte {
	body, err := json.Marshal([]any{class, p})
	if err != nil {
		panic(err) // two strings
	}
	return body
}

// parsePointer reads a pointer of an official client, also of the legacy class:
// an array of the class and an object with bucket and key. It refuses all else.
func parsePointer(body []byte) (pointer, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(body, &parts); err != nil || len(parts) != 2 {
		return pointer{}, fmt.Errorf("%w: not an array of a class and a pointer", ErrMalformed)
	}
	var named string
	if err := json.Unmarshal(parts[0], &named); err != nil || named != class && named != legacyClass {
		return pointer{}, fmt.Errorf("%w: its class is unknown", ErrMalformed)
	}
	var p pointer
	if err := json.Unmarshal(parts[1], &p); err != nil || p.Bucket == "" || p.Key == "" {
		return pointer{}, fmt.Errorf("%w: its bucket or its key is missing", ErrMalformed)
	}
	return p, nil
}

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// scope is the part of a key that identifies a group: 26 characters, of a
// SHA-256.
func scope(group string) string {
	sum := sha256.Sum256([]byte(group))
	return lower.EncodeToString(sum[:16])
}

// newKey returns a new random key in the group's scope.
func newKey(prefix, group string) string {
	return path.Join(prefix, scope(group), uuid.NewString())
}

// mayRead tells whether a delivery of that group may have its body under the
// key.
func mayRead(key, prefix, group string, foreign bool) bool {
	rest, ok := within(key, prefix)
	if !ok {
		return false
	}
	first, last, nested := strings.Cut(rest, "/")
	if nested && isScope(first) {
		return first == scope(group) && isRandom(last)
	}
	return foreign && (prefix != "" || !nested)
}

// within returns the part of a key after the prefix and its slash. It refuses
// keys that a client, proxy or server could read as another path, such as
// a/../b or a%2fb.
func within(key, prefix string) (rest string, ok bool) {
	if key == "" || len(key) > maxKey || !utf8.ValidString(key) || path.Clean("/"+key) != "/"+key ||
		strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' || r == '%' || r == '?' || r == '#' }) {
		return "", false
	}
	if prefix == "" {
		return key, true
	}
	return strings.CutPrefix(key, prefix+"/")
}

func isScope(s string) bool {
	return len(s) == 26 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func isRandom(s string) bool {
	return len(s) == 36 && uuid.Validate(s) == nil
}
