// Package sigv4 computes signatures of AWS's Signature Version 4: for requests
// that are signed ([pkg/awscall]) and for those whose signature is checked
// ([pkg/localaws/auth]). The SDK's signer takes more than twice the CPU time. It
// makes maps and strings for each request, and keeps one signing key, which is
// seldom the next request's if each tenant has a session.
//
// Both users have a test that compares them with the SDK's signer.
package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// Algorithm begins the Authorization header.
	Algorithm = "AWS4-HMAC-SHA256"
	// Time is the layout of X-Amz-Date.
	Time = "20060102T150405Z"
	// dayLength is that of the day in X-Amz-Date.
	dayLength = len("20060102")
)

// Request is what a signature covers.
type Request struct {
	*http.Request
	Headers []string // names in lower case and in order; host and content-length are those of the request's fields
	Payload string   // hash of the body in hex, or a word that stands for it
	Date    string   // in the layout Time
}

// Key is what a signature is made with.
type Key struct{ Secret, Region, Service string }

// Scope appends the scope of a signature, which follows the access key.
func Scope(b []byte, date string, k Key) []byte {
	for _, part := range []string{date[:dayLength], "/", k.Region, "/", k.Service, "/aws4_request"} {
		b = append(b, part...)
	}
	return b
}

// Signer computes signatures. Its zero value is ready, and safe for concurrent
// use. It remembers what it derives from the keys of a day.
type Signer struct {
	mu      sync.Mutex
	derived map[daily]digest
}

type digest = [sha256.Size]byte

// daily is what a signing key is derived from.
type daily struct {
	Key
	day string
}

// maxDerived bounds the signing keys in memory, of some 200 bytes each. All are
// dropped at once: to derive one again takes four digests.
const maxDerived = 4096

// Sign appends the signature of a request, in hex.
func (s *Signer) Sign(b []byte, r Request, k Key) []byte {
	var room [1024]byte
	hash := sha256.Sum256(r.canonical(room[:0], k.Service))
	text := append(append(append(room[:0], Algorithm+"\n"...), r.Date...), '\n')
	text = append(Scope(text, r.Date, k), '\n')
	text = hex.AppendEncode(text, hash[:])
	key := s.of(daily{k, r.Date[:dayLength]})
	sum := mac(key[:], text)
	return hex.AppendEncode(b, sum[:])
}

func (s *Signer) of(d daily) digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := s.derived[d]; ok {
		return key
	}
	key := mac([]byte("AWS4"+d.Secret), []byte(d.day))
	for _, part := range []string{d.Region, d.Service, "aws4_request"} {
		key = mac(key[:], []byte(part))
	}
	if s.derived == nil || len(s.derived) >= maxDerived {
		s.derived = make(map[daily]digest)
	}
	s.derived[d] = key
	return key
}

func mac(key, text []byte) (sum digest) {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	h.Sum(sum[:0])
	return sum
}

// canonical appends the form of the request that both sides compute.
func (r Request) canonical(b []byte, service string) []byte {
	for _, part := range []string{r.Method, "\n", canonicalPath(r.URL, service), "\n", canonicalQuery(r.URL), "\n"} {
		b = append(b, part...)
	}
	for _, name := range r.Headers {
		b = append(append(b, name...), ':')
		switch name {
		case "host":
			b = append(b, r.Host...)
		case "content-length":
			b = strconv.AppendInt(b, r.ContentLength, 10)
		default:
			for i, value := range r.Header.Values(name) {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(b, singleSpaced(value)...)
			}
		}
		b = append(b, '\n')
	}
	b = append(AppendNames(append(b, '\n'), r.Headers), '\n')
	return append(b, r.Payload...)
}

// AppendNames appends the names of signed headers, as the Authorization header
// has them too.
func AppendNames(b []byte, names []string) []byte {
	for i, name := range names {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	return b
}

// canonicalPath is the escaped path. S3 signs it as it is, and other services
// escape it once more.
func canonicalPath(u *url.URL, service string) string {
	path := u.EscapedPath()
	switch {
	case path == "":
		return "/"
	case service == "s3" || !strings.ContainsFunc(path, isEscaped):
		return path
	}
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; isEscaped(rune(c)) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isEscaped(c rune) bool {
	return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("/-_.~", c)
}

// canonicalQuery has its pairs in the order of their escaped form.
func canonicalQuery(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	var pairs [][2]string
	for name, values := range u.Query() {
		for _, value := range values {
			pairs = append(pairs, [2]string{escaped(name), escaped(value)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
	all := make([]string, 0, len(pairs))
	for _, pair := range pairs {
		all = append(all, pair[0]+"="+pair[1])
	}
	return strings.Join(all, "&")
}

func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func singleSpaced(value string) string {
	for strings.Contains(value, "  ") {
		value = strings.ReplaceAll(value, "  ", " ")
	}
	return strings.TrimSpace(value)
}
