package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/scriptfleet/scriptfleet/pkg/sigv4"
)

const (
	maxSkew     = 15 * time.Minute
	maxLink     = 7 * 24 * time.Hour
	maxBody     = 96 << 20 // a function's 50 MB zip in base64, and some room
	unsigned    = "UNSIGNED-PAYLOAD"
	streaming   = "STREAMING-"
	shaHeader   = "X-Amz-Content-Sha256"
	tokenHeader = "X-Amz-Security-Token"
)

// Verifier passes on the requests that a key of the stack has signed.
type Verifier struct {
	keys   *Keys
	now    func() time.Time
	signer sigv4.Signer
	linked *v4.Signer // for presigned links
	bodies *Shares
	admit  func(ctx context.Context, id Identity) bool
}

// NewVerifier checks signatures by keys and by now; a nil now is time.Now. admit
// gets the identity that a request names before the body is read; if it returns
// false, the request is answered with 503. A nil admit is always true.
func NewVerifier(keys *Keys, now func() time.Time, admit func(ctx context.Context, id Identity) bool) *Verifier {
	if now == nil {
		now = time.Now
	}
	if admit == nil {
		admit = func(context.Context, Identity) bool { return true }
	}
	whole := func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true }
	return &Verifier{
		keys: keys, now: now, linked: v4.NewSigner(whole),
		bodies: NewShares(bodiesOfAKey, bodiesOfAll), admit: admit,
	}
}

// Verify calls next with requests that are signed, with the Identity in the
// context and the complete body. It refuses others in the error format of their
// service.
func (v *Verifier) Verify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &countedBody{ReadCloser: r.Body}
		defer body.giveBack()
		r.Body = body
		id, refused := v.identify(r)
		if refused != nil {
			refused.write(w, ServiceOf(r))
			return
		}
		next.ServeHTTP(w, r.WithContext(With(r.Context(), id)))
	})
}

func (v *Verifier) identify(r *http.Request) (Identity, *refusal) {
	if r.Header.Get("Authorization") != "" {
		return v.byHeader(r)
	}
	if r.URL.Query().Get("X-Amz-Signature") != "" {
		return v.byQuery(r)
	}
	return Identity{}, missingToken
}

// signature is the parsed signature of a request.
type signature struct {
	accessKey, region, service string
	headers                    []string
	value                      string
}

// byHeader checks the signature in the Authorization header.
func (v *Verifier) byHeader(r *http.Request) (Identity, *refusal) {
	given, ok := parseAuthorization(r)
	if !ok {
		return Identity{}, incomplete
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(sigv4.Time, date)
	if err != nil || len(date) != len(sigv4.Time) {
		return Identity{}, incomplete
	}
	if age := v.now().Sub(at); age > maxSkew || age < -maxSkew {
		return Identity{}, skewed
	}
	secret, id, refused := v.lookup(r, given.accessKey, r.Header.Get(tokenHeader))
	if refused != nil {
		return Identity{}, refused
	}
	hash, refused := payloadHash(r)
	if refused != nil {
		return Identity{}, refused
	}
	if !same(v.valueOf(r, given, secret, date, hash), given.value) {
		return Identity{}, mismatch
	}
	return id, nil
}

// lookup finds the key that a request names, and counts its body from then on.
// It is called before the signature is checked: an access key and its token are
// secrets too.
func (v *Verifier) lookup(r *http.Request, accessKey, token string) (secret string, id Identity, refused *refusal) {
	secret, id, refused = v.keys.lookup(accessKey, token, v.now())
	if refused != nil {
		return "", Identity{}, refused
	}
	if !v.admit(r.Context(), id) {
		return "", Identity{}, busy
	}
	if body, ok := r.Body.(*countedBody); ok && !id.Fleet() {
		body.shares, body.key = v.bodies, id.AccessKey
	}
	return secret, id, nil
}

// byQuery checks the signature of a presigned link, as for S3.
func (v *Verifier) byQuery(r *http.Request) (Identity, *refusal) {
	q := r.URL.Query()
	scope := scopeOf(r)
	at, err := time.Parse(sigv4.Time, q.Get("X-Amz-Date"))
	seconds, errLife := strconv.Atoi(q.Get("X-Amz-Expires"))
	life := time.Duration(seconds) * time.Second
	if len(scope) != 5 || err != nil || errLife != nil || life <= 0 || life > maxLink {
		return Identity{}, incomplete
	}
	if now := v.now(); now.After(at.Add(life)) || now.Before(at.Add(-maxSkew)) {
		return Identity{}, linkExpired
	}
	token := q.Get(tokenHeader)
	secret, id, refused := v.lookup(r, scope[0], token)
	if refused != nil {
		return Identity{}, refused
	}
	hash := unsigned
	if scope[3] != "s3" {
		if hash, refused = payloadHash(r); refused != nil {
			return Identity{}, refused
		}
	} else if said := q.Get(shaHeader); said != "" {
		hash = said
	}
	again := signedPart(r, strings.Split(q.Get("X-Amz-SignedHeaders"), ";"))
	given := q.Get("X-Amz-Signature")
	q.Del("X-Amz-Signature")
	again.URL.RawQuery = q.Encode()
	creds := aws.Credentials{AccessKeyID: scope[0], SecretAccessKey: secret, SessionToken: token}
	asIs := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = scope[3] == "s3" }
	link, _, err := v.linked.PresignHTTP(r.Context(), creds, again, hash, scope[3], scope[2], at, asIs)
	if err != nil {
		return Identity{}, incomplete
	}
	_, want, _ := strings.Cut(link, "X-Amz-Signature=")
	if !same(want, given) {
		return Identity{}, mismatch
	}
	return id, nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// signedPart is the request with only the signed headers, as its signer saw it.
func signedPart(r *http.Request, headers []string) *http.Request {
	u := *r.URL
	u.Host = r.Host
	again := &http.Request{Method: r.Method, URL: &u, Host: r.Host, Header: http.Header{}}
	for _, h := range headers {
		key := http.CanonicalHeaderKey(h)
		switch key {
		case "Host", "X-Amz-Date":
		case "Content-Length":
			again.ContentLength = r.ContentLength
		default:
			if values := r.Header.Values(key); len(values) > 0 {
				again.Header[key] = values
			}
		}
	}
	return again
}

// payloadHash is the hash of the body that the signature covers. If it has to
// compute or check the hash, it reads the body and replaces it by a copy.
func payloadHash(r *http.Request) (string, *refusal) {
	said := r.Header.Get(shaHeader)
	if said == unsigned || strings.HasPrefix(said, streaming) {
		return said, nil
	}
	body, err := readAll(r, maxBody)
	if errors.Is(err, errBusy) {
		return "", busy
	}
	if err != nil {
		return "", incomplete
	}
	if len(body) > maxBody {
		return "", bodyTooLarge
	}
	_ = r.Body.Close() // it was read to its end
	r.Body = &whole{bytes.NewReader(body), body}
	sum := sha256.Sum256(body)
	is := hex.EncodeToString(sum[:])
	if said != "" && said != is {
		return "", otherBody
	}
	return is, nil
}

// parseAuthorization parses the header:
//
//	AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX
func parseAuthorization(r *http.Request) (signature, bool) {
	scope := scopeOf(r)
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), sigv4.Algorithm)
	if !ok || len(scope) != 5 {
		return signature{}, false
	}
	s := signature{accessKey: scope[0], region: scope[2], service: scope[3]}
	for _, part := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "SignedHeaders":
			s.headers = strings.Split(value, ";")
		case "Signature":
			s.value = value
		}
	}
	return s, s.value != "" && len(s.headers) > 0
}

// scopeOf is the credential scope of a signature in five parts: access key,
// date, region, service, "aws4_request". It is nil without a signature.
func scopeOf(r *http.Request) []string {
	credential := ""
	if header := r.Header.Get("Authorization"); header != "" {
		_, credential, _ = strings.Cut(header, "Credential=")
		credential, _, _ = strings.Cut(credential, ",")
	} else if strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		credential = r.URL.Query().Get("X-Amz-Credential")
	}
	parts := strings.Split(strings.TrimSpace(credential), "/")
	if len(parts) != 5 {
		return nil
	}
	return parts
}
