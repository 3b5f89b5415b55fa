package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const account = "123456789012"

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// door is a verifier whose clock the test sets, and the requests that passed
// it.
type door struct {
	keys   *Keys
	now    time.Time
	http   http.Handler
	passed *Identity
	body   string
}

func newDoor(t testing.TB) *door {
	keys, err := NewKeys(account, "AKIAROOT", "root secret")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{keys: keys, now: start}
	d.http = NewVerifier(keys, func() time.Time { return d.now }, nil).Verify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, _ := From(r.Context())
		body, _ := io.ReadAll(r.Body)
		d.passed, d.body = &id, string(body)
	}))
	return d
}

// knock sends a request and returns the status and the body of the answer.
func (d *door) knock(r *http.Request) (int, string) {
	d.passed, d.body = nil, ""
	w := httptest.NewRecorder()
	d.http.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

type signing struct {
	key, secret, token string
	service            string
	body               string
	at                 time.Time
}

func (d *door) root(service string) signing {
	return signing{key: "AKIAROOT", secret: "root secret", service: service, body: "{}", at: start}
}

func (s signing) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret, SessionToken: s.token}
}

// request is a signed request as a server receives it.
func (s signing) request(t testing.TB) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4566/", strings.NewReader(s.body))
	r.Header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
	sum := sha256.Sum256([]byte(s.body))
	if err := v4.NewSigner().SignHTTP(context.Background(), s.credentials(), r, hex.EncodeToString(sum[:]), s.service, "us-east-1", s.at); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatTheRootKeySignedPassesWithItsBody(t *testing.T) {
	d := newDoor(t)
	if code, answer := d.knock(d.root("sqs").request(t)); code != 200 || d.passed == nil || !d.passed.IsRoot() || d.body != "{}" {
		t.Error(code, answer, d.passed, d.body)
	}
}

func TestWhatIsNotSignedRightIsRefusedInTheServicesWords(t *testing.T) {
	d := newDoor(t)
	change := func(s signing, f func(r *http.Request)) *http.Request {
		r := s.request(t)
		f(r)
		return r
	}
	unsigned := func(r *http.Request) { r.Header.Del("Authorization") }
	with := func(f func(s *signing), service string) *http.Request {
		s := d.root(service)
		f(&s)
		return s.request(t)
	}
	for _, c := range []struct {
		what    string
		request *http.Request
		want    string
	}{
		{"unsigned", change(d.root("sqs"), unsigned), "MissingAuthenticationToken"},
		{"another scheme", change(d.root("sqs"), func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }), "IncompleteSignature"},
		{"half a signature", change(d.root("sqs"), func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAROOT/20261123/us-east-1/sqs/aws4_request")
		}), "IncompleteSignature"},
		{"an unknown key", with(func(s *signing) { s.key = "AKIAOTHER" }, "sqs"), "InvalidClientTokenId"},
		{"an unknown key of Lambda", with(func(s *signing) { s.key = "AKIAOTHER" }, "lambda"), "security token included in the request is invalid"},
		{"an unknown key of STS", with(func(s *signing) { s.key = "AKIAOTHER" }, "sts"), "<Code>InvalidClientTokenId</Code>"},
		{"an unknown key of S3", with(func(s *signing) { s.key = "AKIAOTHER" }, "s3"), "<Code>InvalidAccessKeyId</Code>"},
		{"another secret", with(func(s *signing) { s.secret = "guess" }, "sqs"), "SignatureDoesNotMatch"},
		{"another body", change(d.root("sqs"), func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("[]")) }), "SignatureDoesNotMatch"},
		{"another target", change(d.root("sqs"), func(r *http.Request) { r.Header.Set("X-Amz-Target", "AmazonSQS.PurgeQueue") }), "SignatureDoesNotMatch"},
		{"another path", change(d.root("sqs"), func(r *http.Request) { r.URL.Path = "/else" }), "SignatureDoesNotMatch"},
		{"another query", change(d.root("sqs"), func(r *http.Request) { r.URL.RawQuery = "a=b" }), "SignatureDoesNotMatch"},
		{"another host", change(d.root("sqs"), func(r *http.Request) { r.Host = "else:1" }), "SignatureDoesNotMatch"},
		{"signed long ago", with(func(s *signing) { s.at = start.Add(-16 * time.Minute) }, "sqs"), "Signature expired"},
		{"signed in the future", with(func(s *signing) { s.at = start.Add(16 * time.Minute) }, "sqs"), "Signature expired"},
		{"a token that we did not seal", with(func(s *signing) { s.token = "AAAA" }, "sqs"), "InvalidClientTokenId"},
	} {
		code, answer := d.knock(c.request)
		if code != http.StatusForbidden || !strings.Contains(answer, c.want) || d.passed != nil {
			t.Errorf("%s: %d %s, not %s", c.what, code, answer, c.want)
		}
	}
}

func TestASessionPassesUntilItExpires(t *testing.T) {
	d := newDoor(t)
	role := Role{ARN: "arn:aws:iam::1:role/r", Policy: Allow([]string{"lambda:*"}, []string{"*"})}
	d.keys.AddRole(role)
	session, err := d.keys.Issue(role, "acme", `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:acme"}}`, start.Add(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	s := signing{key: session.AccessKey, secret: session.Secret, token: session.Token, service: "sqs", at: start}
	if code, answer := d.knock(s.request(t)); code != 200 {
		t.Fatal(code, answer)
	}
	id := *d.passed
	if !id.Session || id.ARN != "arn:aws:sts::1:assumed-role/r/acme" || id.IsRoot() {
		t.Errorf("%+v", id)
	}
	if !id.Allows("lambda:InvokeFunction", "arn:acme") || id.Allows("lambda:InvokeFunction", "arn:else") || id.Allows("sqs:SendMessage", "arn:acme") {
		t.Error("a session may do what its role and its policy allow, and nothing else")
	}
	other, _ := d.keys.Issue(role, "other", "", start.Add(time.Hour))
	mixed := s
	mixed.token = other.Token
	if code, answer := d.knock(mixed.request(t)); code != 403 {
		t.Error("another session's token:", code, answer)
	}
	bare := s
	bare.token = ""
	if code, answer := d.knock(bare.request(t)); code != 403 {
		t.Error("without its token:", code, answer)
	}
	d.now = start.Add(10 * time.Minute)
	s.at = d.now
	if code, answer := d.knock(s.request(t)); code != 403 || !strings.Contains(answer, "ExpiredToken") {
		t.Error("after its end:", code, answer)
	}
}

func TestSessionsOutliveARestartWithTheSameRootKey(t *testing.T) {
	role := Role{ARN: "arn:aws:iam::1:role/r", Policy: AllowAll()}
	session, err := newDoor(t).keys.Issue(role, "acme", "", start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s := signing{key: session.AccessKey, secret: session.Secret, token: session.Token, service: "sqs", at: start}
	d := newDoor(t)
	d.keys.AddRole(role)
	if code, answer := d.knock(s.request(t)); code != 200 || !d.passed.Allows("a:B", "c") {
		t.Error(code, answer)
	}
	d.keys.AddRole(Role{ARN: role.ARN})
	if _, _ = d.knock(s.request(t)); d.passed == nil || d.passed.Allows("a:B", "c") {
		t.Error("a session follows its role when that changes")
	}
}

func TestPresignedLinksPassUntilTheyEnd(t *testing.T) {
	d := newDoor(t)
	link := func(change func(url string) string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:4566/bucket/a%20key?X-Amz-Expires=60", nil)
		url, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(
			context.Background(), d.root("s3").credentials(), r, unsigned, "s3", "us-east-1", start)
		if err != nil {
			t.Fatal(err)
		}
		return httptest.NewRequest(http.MethodGet, change(url), nil)
	}
	same := func(url string) string { return url }
	if code, answer := d.knock(link(same)); code != 200 {
		t.Fatal(code, answer)
	}
	if code, _ := d.knock(link(func(url string) string { return strings.Replace(url, "a%20key", "b", 1) })); code != 403 {
		t.Error("another key passes")
	}
	if code, _ := d.knock(link(func(url string) string { return strings.Replace(url, "Expires=60", "Expires=600", 1) })); code != 403 {
		t.Error("a longer life passes")
	}
	d.now = start.Add(61 * time.Second)
	if code, answer := d.knock(link(same)); code != 403 || !strings.Contains(answer, "Request has expired") {
		t.Error("after its end:", code, answer)
	}
}

func TestTheHashThatS3NamesIsCheckedAgainstTheBody(t *testing.T) {
	d := newDoor(t)
	put := func(hash, body string) *http.Request {
		r := httptest.NewRequest(http.MethodPut, "http://127.0.0.1:4566/b/k", bytes.NewReader([]byte(body)))
		r.Header.Set(shaHeader, hash)
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		if err := signer.SignHTTP(context.Background(), d.root("s3").credentials(), r, hash, "s3", "us-east-1", start); err != nil {
			t.Fatal(err)
		}
		return r
	}
	sum := sha256.Sum256([]byte("body"))
	if code, answer := d.knock(put(hex.EncodeToString(sum[:]), "body")); code != 200 {
		t.Error(code, answer)
	}
	if code, answer := d.knock(put(hex.EncodeToString(sum[:]), "else")); code != 403 || !strings.Contains(answer, "XAmzContentSHA256Mismatch") {
		t.Error(code, answer)
	}
	if code, answer := d.knock(put(unsigned, "anything")); code != 200 || d.body != "anything" {
		t.Error(code, answer)
	}
}

func TestServicesAreToldApart(t *testing.T) {
	for _, c := range []struct{ method, path, target, want string }{
		{"POST", "/", "AmazonSQS.SendMessage", "sqs"},
		{"POST", "/", "", "sts"},
		{"POST", "/2015-03-31/functions/f/invocations", "", "lambda"},
		{"GET", "/bucket/key", "", "s3"},
		{"GET", "/", "", "s3"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.target != "" {
			r.Header.Set("X-Amz-Target", c.target)
		}
		if got := ServiceOf(r); got != c.want {
			t.Errorf("%s %s: %s, not %s", c.method, c.path, got, c.want)
		}
	}
}

func FuzzNothingForgedPasses(f *testing.F) {
	d := newDoor(f)
	good := d.root("sqs").request(f).Header.Get("Authorization")
	f.Add(good[:len(good)-1], "")
	f.Add("AWS4-HMAC-SHA256 Credential=AKIAROOT/1/2/sqs/aws4_request, SignedHeaders=host, Signature=00", "AAAA")
	f.Add("AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;;, Signature=", "")
	f.Fuzz(func(t *testing.T, header, token string) {
		r := d.root("sqs").request(t)
		if header == good {
			return
		}
		r.Header.Set("Authorization", header)
		r.Header.Set(tokenHeader, token)
		if d.knock(r); d.passed != nil && !strings.Contains(header, good[len(good)-64:]) {
			t.Errorf("%q passes", header)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	d := newDoor(b)
	s := d.root("sqs")
	s.body = strings.Repeat("x", 1024)
	r := s.request(b)
	v := NewVerifier(d.keys, func() time.Time { return start }, nil)
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(s.body))
		if _, refused := v.identify(r); refused != nil {
			b.Fatal(refused)
		}
	}
}
