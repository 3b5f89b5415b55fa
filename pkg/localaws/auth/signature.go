package auth

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/smithy-go/encoding/httpbinding"
)

// signed is what the signature in an Authorization header covers besides the
// request itself. The SDK's signer would sign a copy of the request, for several
// times the CPU time.
type signed struct {
	signature
	secret, date string // date as in X-Amz-Date
	payload      string // hash of the body
}

// value is the signature of the request, or "" if one that covers neither the host
// nor the date is no signature of it.
func (s signed) value(r *http.Request, keys *signingKeys) string {
	if !slices.Contains(s.headers, "host") || !slices.Contains(s.headers, "x-amz-date") {
		return ""
	}
	request := sha256.Sum256(s.canonical(r))
	day := s.date[:8]
	text := make([]byte, 0, 256)
	for _, part := range []string{algorithm, "\n", s.date, "\n", day, "/", s.region, "/", s.service, "/aws4_request\n"} {
		text = append(text, part...)
	}
	text = hex.AppendEncode(text, request[:])
	return hex.EncodeToString(mac(keys.of(scope{s.secret, day, s.region, s.service}), text))
}

// canonical is the request in the form that is signed.
func (s signed) canonical(r *http.Request) []byte {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	if s.service != "s3" && path != "/" { // S3 signs a path as it is; other services escape it once more
		path = httpbinding.EscapePath(path, false)
	}
	b := make([]byte, 0, 1024)
	for _, part := range []string{r.Method, "\n", path, "\n", canonicalQuery(r), "\n"} {
		b = append(b, part...)
	}
	for _, name := range s.headers {
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
	b = append(b, '\n')
	for i, name := range s.headers {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	return append(append(b, '\n'), s.payload...)
}

// canonicalQuery has its pairs in the order of their escaped form.
func canonicalQuery(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	var pairs [][2]string
	for name, values := range r.URL.Query() {
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

// scope is what a signing key is derived from.
type scope struct{ secret, day, region, service string }

// mostKeys bounds the signing keys that are kept; each takes some 300 bytes.
const mostKeys = 4096

// signingKeys keeps the keys that were derived, each by four HMACs.
type signingKeys struct {
	mu   sync.Mutex
	keys map[scope][]byte
}

func (k *signingKeys) of(s scope) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[s]
	if ok {
		return key
	}
	key = []byte("AWS4" + s.secret)
	for _, part := range []string{s.day, s.region, s.service, "aws4_request"} {
		key = mac(key, []byte(part))
	}
	if len(k.keys) >= mostKeys || k.keys == nil {
		k.keys = map[scope][]byte{}
	}
	k.keys[s] = key
	return key
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}
