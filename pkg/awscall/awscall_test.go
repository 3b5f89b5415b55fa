package awscall_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/scriptfleet/scriptfleet/pkg/awscall"
)

// A machine whose clock is wrong is refused once.
func TestARefusalCorrectsTheClockOfTheNextSignature(t *testing.T) {
	var signed []time.Time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil {
			t.Errorf("the request is not signed: %v", err)
		}
		signed = append(signed, at)
		w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := awscall.New(awscall.Config{Service: "sqs", Region: "eu-central-1", Endpoint: *to, HTTP: server.Client()})
	for range 2 {
		got, err := c.Post(t.Context(), aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}, "/", http.Header{}, []byte("{}"))
		if err != nil || got.Status != http.StatusForbidden {
			t.Fatalf("the answer is %d, %v", got.Status, err)
		}
	}
	if ahead := signed[1].Sub(signed[0]); ahead < 59*time.Minute {
		t.Errorf("the second signature is %s after the first", ahead)
	}
}
