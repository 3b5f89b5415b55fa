package awscall

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/encoding/httpbinding"
)

// signer signs requests with Signature Version 4, in the same words as the SDK's
// signer, and for a third of its CPU time: that one makes maps and strings for
// each call, and derives the signing key anew whenever the access key changes,
// which is for nearly every call if each tenant has a session.
//
// It signs all headers of the request, which has no query.
type signer struct {
	service, region string

	mu   sync.Mutex
	keys map[identity]signingKey
}

// identity is what a signing key is derived from, beside day, region and service.
type identity struct{ id, secret string }

type signingKey struct {
	day string
	key [sha256.Size]byte
}

const (
	algorithm = "AWS4-HMAC-SHA256"
	// maxSigningKeys bounds the keys in memory, of some 150 bytes each. All are
	// dropped at once: to derive one again costs four digests.
	maxSigningKeys = 4096
)

// sign adds the date, the session's token and the signature to the request's
// header.
func (s *signer) sign(req *http.Request, keys aws.Credentials, body []byte, now time.Time) {
	at := now.UTC().Format("20060102T150405Z")
	day := at[:len("20060102")]
	req.Header["X-Amz-Date"] = []string{at}
	if keys.SessionToken != "" {
		req.Header["X-Amz-Security-Token"] = []string{keys.SessionToken}
	}
	headers := signed(req)
	scope := make([]byte, 0, 64)
	scope = append(append(append(append(scope, day...), '/'), s.region...), '/')
	scope = append(append(scope, s.service...), "/aws4_request"...)

	var room [1024]byte
	buf := appendCanonical(room[:0], req, headers, body)
	digest := sha256.Sum256(buf)
	buf = append(append(append(buf[:0], algorithm+"\n"...), at...), '\n')
	buf = append(append(buf, scope...), '\n')
	buf = hex.AppendEncode(buf, digest[:])
	key := s.key(keys, day)
	signature := authenticate(key[:], buf)

	buf = append(append(buf[:0], algorithm+" Credential="...), keys.AccessKeyID...)
	buf = append(append(append(buf, '/'), scope...), ", SignedHeaders="...)
	buf = append(appendNames(buf, headers), ", Signature="...)
	buf = hex.AppendEncode(buf, signature[:])
	req.Header["Authorization"] = []string{string(buf)}
}

// header is a header as it is signed. Its values are nil for those of the
// connection, which net/http writes from other fields of the request.
type header struct {
	name   string // in lower case
	values []string
}

// signed returns the headers that are signed, in order.
func signed(req *http.Request) []header {
	headers := make([]header, 0, 12)
	headers = append(headers, header{name: "host"})
	if req.ContentLength > 0 {
		headers = append(headers, header{name: "content-length"})
	}
	for name, values := range req.Header {
		headers = append(headers, header{strings.ToLower(name), values})
	}
	slices.SortFunc(headers, func(a, b header) int { return strings.Compare(a.name, b.name) })
	return headers
}

func appendNames(buf []byte, headers []header) []byte {
	for i, h := range headers {
		if i > 0 {
			buf = append(buf, ';')
		}
		buf = append(buf, h.name...)
	}
	return buf
}

// appendCanonical appends the canonical request: the form of a request that both
// sides compute and sign.
func appendCanonical(buf []byte, req *http.Request, headers []header, body []byte) []byte {
	buf = append(append(append(buf, req.Method...), '\n'), canonicalPath(req)...)
	buf = append(buf, "\n\n"...) // no query
	for _, h := range headers {
		buf = append(append(buf, h.name...), ':')
		switch h.name {
		case "host":
			buf = append(buf, req.Host...)
		case "content-length":
			buf = strconv.AppendInt(buf, req.ContentLength, 10)
		default:
			for i, value := range h.values {
				if i > 0 {
					buf = append(buf, ',')
				}
				buf = append(buf, single(value)...)
			}
		}
		buf = append(buf, '\n')
	}
	buf = append(appendNames(append(buf, '\n'), headers), '\n')
	digest := sha256.Sum256(body)
	return hex.AppendEncode(buf, digest[:])
}

// canonicalPath is the escaped path, escaped again.
func canonicalPath(req *http.Request) string {
	path := req.URL.EscapedPath()
	if path == "" {
		return "/"
	}
	for i := range len(path) {
		if c := path[i]; c != '/' && c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return httpbinding.EscapePath(path, false)
		}
	}
	return path
}

// single returns a header's value without spaces around it, and with one space in
// place of several.
func single(value string) string {
	value = strings.TrimSpace(value)
	for strings.Contains(value, "  ") {
		value = strings.ReplaceAll(value, "  ", " ")
	}
	return value
}

// key returns the key that signs on that day.
func (s *signer) key(keys aws.Credentials, day string) [sha256.Size]byte {
	who := identity{keys.AccessKeyID, keys.SecretAccessKey}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[who]; ok && k.day == day {
		return k.key
	}
	if s.keys == nil || len(s.keys) >= maxSigningKeys {
		s.keys = make(map[identity]signingKey)
	}
	key := authenticate([]byte("AWS4"+keys.SecretAccessKey), []byte(day))
	for _, part := range []string{s.region, s.service, "aws4_request"} {
		key = authenticate(key[:], []byte(part))
	}
	s.keys[who] = signingKey{day, key}
	return key
}

func authenticate(key, message []byte) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	mac.Sum(sum[:0])
	return sum
}
