package sqs_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/sqstest"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account = "123456789012"

// served is a server over HTTP whose caller may do anything, and a client.
// Package auth tests the signatures.
func served(t testing.TB, cfg sqs.Config) (*sqs.Server, *awssqs.Client) {
	t.Helper()
	cfg.Region, cfg.Account = "us-east-1", account
	server, err := sqs.New(cfg, sqs.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := httptest.NewServer(as(auth.Root(account, "AKIATEST"), server))
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		endpoint.CloseClientConnections() // ends the polls of a failed test
		endpoint.Close()
		server.Close()
	})
	return server, awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint.URL),
		HTTPClient:  &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "secret", ""),
	})
}

func as(id auth.Identity, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(auth.With(r.Context(), id)))
	})
}

func TestKeepsTheContractOfQueues(t *testing.T) {
	_, client := served(t, sqs.Config{})
	sqstest.Run(t, client)
}
