package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

func TestWhatTheSDKSignsPassesWhateverItsPathQueryAndHeaders(t *testing.T) {
	d := newDoor(t)
	for _, c := range []struct{ service, url string }{
		{"sqs", "http://127.0.0.1:4566"},
		{"lambda", "http://127.0.0.1:4566/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax/invocations?Qualifier=a+b%2Fc"},
		{"lambda", "http://127.0.0.1:4566/2017-03-31/tags/a%2Fb%20c%25?tagKeys=b&tagKeys=a&tagKeys=%C3%A9~&A="},
		{"s3", "http://127.0.0.1:4566/bucket/a%20key/%C3%BC+(1)'*?list-type=2&prefix=x%2By"},
		{"s3", "http://localhost/bucket//a//b/"},
	} {
		r := httptest.NewRequest(http.MethodPost, c.url, strings.NewReader("{}"))
		r.Header["X-Amz-Meta-Several"] = []string{"  a   b ", "c\t  d"}
		r.Header.Set("Content-Type", "application/x;  charset=utf-8")
		sum := sha256.Sum256([]byte("{}"))
		hash := hex.EncodeToString(sum[:])
		r.Header.Set(shaHeader, hash)
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = c.service == "s3" })
		if err := signer.SignHTTP(context.Background(), d.root(c.service).credentials(), r, hash, c.service, "us-east-1", start); err != nil {
			t.Fatal(err)
		}
		if code, answer := d.knock(r); code != http.StatusOK {
			t.Errorf("%s %s: %d %s", c.service, c.url, code, answer)
		}
		r.Header["X-Amz-Meta-Several"][1] = "c e"
		if code, _ := d.knock(r); code != http.StatusForbidden {
			t.Errorf("%s %s passes with another header", c.service, c.url)
		}
	}
}

func TestASignatureCoversHostAndDate(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:4566/", nil)
	for list, holds := range map[string]bool{"host;x-amz-date": true, "host": false, "x-amz-date": false} {
		s := signed{signature: signature{headers: strings.Split(list, ";")}, secret: "s", date: start.Format(amzTime)}
		if got := s.value(r, &signingKeys{}); (got != "") != holds {
			t.Errorf("over %s it is %q", list, got)
		}
	}
}

func TestSigningKeysAreKeptApartAndBounded(t *testing.T) {
	var k signingKeys
	first := scope{"secret", "20261123", "us-east-1", "sqs"}
	want := string(k.of(first))
	for _, other := range []scope{{"Secret", first.day, first.region, first.service}, {first.secret, "20261124", first.region, first.service},
		{first.secret, first.day, "eu-west-1", first.service}, {first.secret, first.day, first.region, "s3"}} {
		if string(k.of(other)) == want {
			t.Errorf("%+v has the key of another scope", other)
		}
	}
	for n := range 2 * mostKeys {
		k.of(scope{secret: string(rune(n + 1))})
	}
	if len(k.keys) > mostKeys || string(k.of(first)) != want {
		t.Errorf("%d keys are kept", len(k.keys))
	}
}
