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

	"github.com/scriptfleet/scriptfleet/pkg/sigv4"
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
		given := signature{headers: strings.Split(list, ";")}
		if got := new(Verifier).valueOf(r, given, "s", start.Format(sigv4.Time), ""); (got != "") != holds {
			t.Errorf("over %s it is %q", list, got)
		}
	}
}
