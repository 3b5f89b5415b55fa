package auth

import (
	"net/http"
	"slices"

	"github.com/scriptfleet/scriptfleet/pkg/sigv4"
)

// valueOf is the value that the signature of the request has with the secret, or
// "" if one that covers neither the host nor the date is no signature of it.
func (v *Verifier) valueOf(r *http.Request, given signature, secret, date, payload string) string {
	if !slices.Contains(given.headers, "host") || !slices.Contains(given.headers, "x-amz-date") {
		return ""
	}
	signed := sigv4.Request{Request: r, Headers: given.headers, Payload: payload, Date: date}
	return string(v.signer.Sign(nil, signed, sigv4.Key{Secret: secret, Region: given.region, Service: given.service}))
}
