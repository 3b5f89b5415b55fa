package awscall

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/scriptfleet/scriptfleet/pkg/sigv4"
)

// sign adds the date, the session's token and the signature to the request's
// header. All headers of the request are signed.
func (c *Caller) sign(req *http.Request, keys aws.Credentials, body []byte, now time.Time) {
	date := now.UTC().Format(sigv4.Time)
	req.Header["X-Amz-Date"] = []string{date}
	if keys.SessionToken != "" {
		req.Header["X-Amz-Security-Token"] = []string{keys.SessionToken}
	}
	hash := sha256.Sum256(body)
	signed := sigv4.Request{Request: req, Headers: namesOf(req), Payload: hex.EncodeToString(hash[:]), Date: date}
	key := sigv4.Key{Secret: keys.SecretAccessKey, Region: c.cfg.Region, Service: c.cfg.Service}

	var room [512]byte
	b := append(append(append(room[:0], sigv4.Algorithm+" Credential="...), keys.AccessKeyID...), '/')
	b = append(sigv4.Scope(b, date, key), ", SignedHeaders="...)
	b = append(sigv4.AppendNames(b, signed.Headers), ", Signature="...)
	b = c.signer.Sign(b, signed, key)
	req.Header["Authorization"] = []string{string(b)}
}

// namesOf are the names of the headers that are signed.
func namesOf(req *http.Request) []string {
	names := make([]string, 0, 12)
	names = append(names, "host")
	if req.ContentLength > 0 {
		names = append(names, "content-length")
	}
	for name := range req.Header {
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)
	return names
}
