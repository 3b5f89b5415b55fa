package awscall

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// request makes a request that the fuzzer may vary, or nil for one that
// net/http would not send.
func request(path, name, value, body string) *http.Request {
	if strings.ContainsAny(path, "?#") || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil
	}
	to, err := url.Parse("https://lambda.eu-central-1.amazonaws.com/" + strings.TrimLeft(path, "/"))
	if err != nil {
		return nil
	}
	req := &http.Request{
		Method: http.MethodPost, URL: to, Host: to.Host, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}
	switch canonical := http.CanonicalHeaderKey("X-Amz-" + name); {
	case strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }):
		return nil
	case canonical != "X-Amz-Date" && canonical != "X-Amz-Security-Token":
		req.Header[canonical] = []string{value}
	}
	return req
}

func FuzzTheSignatureIsThatOfTheSDK(f *testing.F) {
	f.Add("/2015-03-31/functions/scriptfleet-a_b/invocations", "log-type", "Tail", `{"input":{}}`, "token", int64(1_790_000_000))
	f.Add("", "target", "AmazonSQS.SendMessageBatch", "", "", int64(1_790_000_000))
	f.Add("a b/%2F/ü~", "target", "  two   spaces ", "x", "t", int64(0))
	c := New(Config{Service: "lambda", Region: "eu-central-1"})
	f.Fuzz(func(t *testing.T, path, name, value, body, token string, seconds int64) {
		ours, theirs := request(path, name, value, body), request(path, name, value, body)
		if ours == nil || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return
		}
		now := time.Unix(seconds%4_000_000_000, 0)
		keys := aws.Credentials{AccessKeyID: "AKID" + name, SecretAccessKey: "secret" + value, SessionToken: token}
		c.sign(ours, keys, []byte(body), now)
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), keys, theirs, hex.EncodeToString(sum[:]), c.cfg.Service, c.cfg.Region, now); err != nil {
			return
		}
		for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
			if got, want := ours.Header.Get(name), theirs.Header.Get(name); got != want {
				t.Errorf("%s of %s is\n%s, the SDK's\n%s", name, ours.URL, got, want)
			}
		}
	})
}

// BenchmarkSign signs as ten tenants in turn, with the SDK's signer beside it.
func BenchmarkSign(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 300)
	sum := sha256.Sum256(body)
	credentials := func(i int) aws.Credentials {
		return aws.Credentials{AccessKeyID: "AKID" + string(rune('a'+i%10)), SecretAccessKey: "secret", SessionToken: strings.Repeat("t", 300)}
	}
	fresh := func() *http.Request {
		req := request("2015-03-31/functions/scriptfleet-abc/invocations", "invocation-type", "RequestResponse", string(body))
		req.Header["X-Amz-Log-Type"] = []string{"Tail"}
		return req
	}
	now := time.Now()
	b.Run("ours", func(b *testing.B) {
		c := New(Config{Service: "lambda", Region: "eu-central-1"})
		b.ReportAllocs()
		for i := range b.N {
			c.sign(fresh(), credentials(i), body, now)
		}
	})
	b.Run("sdk", func(b *testing.B) {
		s := v4.NewSigner()
		b.ReportAllocs()
		for i := range b.N {
			_ = s.SignHTTP(b.Context(), credentials(i), fresh(), hex.EncodeToString(sum[:]), "lambda", "eu-central-1", now)
		}
	})
}
