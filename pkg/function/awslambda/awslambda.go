// Package awslambda makes and invokes functions on AWS Lambda or on the
// embedded stack; it treats both alike.
//
// Every method makes one attempt: by default the SDK tries an Invoke three
// times, also after a broken connection, and a script would run twice. The
// caller paces its calls and retries by the class of the error. The class is
// decided here, once ([answers]). An error without an answer of the service is
// Unsent if the request had not begun to leave, because then nothing can have
// executed; otherwise it is Ambiguous.
//
// A call lasts until its ctx ends. The caller sets the deadline of an Invoke:
// the function's timeout, 10 s of init, and a margin.
package awslambda

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// API is what Functions needs of [*lambda.Client].
type API interface {
	lambda.ListLayerVersionsAPIClient
	lambda.ListFunctionsAPIClient
	lambda.GetFunctionAPIClient
	PublishLayerVersion(context.Context, *lambda.PublishLayerVersionInput, ...func(*lambda.Options)) (*lambda.PublishLayerVersionOutput, error)
	CreateFunction(context.Context, *lambda.CreateFunctionInput, ...func(*lambda.Options)) (*lambda.CreateFunctionOutput, error)
	DeleteFunction(context.Context, *lambda.DeleteFunctionInput, ...func(*lambda.Options)) (*lambda.DeleteFunctionOutput, error)
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Sessions gives the credentials that sign a tenant's invocations. Every Invoke
// asks for them, so an implementation should cache them.
type Sessions interface {
	Session(ctx context.Context, tenant string) (aws.Credentials, error)
	// Drop forgets the tenant's cached session if it has this access key,
	// because Lambda rejects it. The next Session then makes a new one.
	Drop(tenant, accessKeyID string)
}

// Keys are the fleet's own credentials, which sign all calls except a tenant's
// invocations.
type Keys interface {
	Invalidate() // the next call fetches them again
}

// Uploads stores a zip that is too large for a call (function.MaxZipBytes)
// where Lambda can fetch it.
type Uploads interface {
	Upload(ctx context.Context, key string, body []byte) (bucket, objectKey string, err error)
}

// Config says how Lambda is called.
type Config struct {
	NamePrefix string // List returns the functions whose names begin with it
}

// Deps are what Functions calls.
type Deps struct {
	Lambda   API      // of NewClient
	Uploads  Uploads  // nil: zips over function.MaxZipBytes are refused
	Sessions Sessions // nil: invocations are signed with the fleet's own keys
	Keys     Keys     // nil: the fleet's keys cannot be fetched again
}

// Functions makes and invokes functions. It is safe for concurrent use.
type Functions struct {
	cfg Config
	Deps
}

var (
	_ function.Maker   = (*Functions)(nil)
	_ function.Invoker = (*Functions)(nil)
)

// New returns Functions over the client.
func New(cfg Config, deps Deps) *Functions {
	deps.Lambda = directly(deps.Lambda)
	return &Functions{cfg: cfg, Deps: deps}
}

// NewClient returns a client that tries every call once and keeps up to
// concurrency idle connections open. It does not change a cfg.HTTPClient that
// is not the SDK's own type.
func NewClient(cfg aws.Config, concurrency int, options ...func(*lambda.Options)) *lambda.Client {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if cfg.HTTPClient == nil {
		client, ok = awshttp.NewBuildableClient(), true
	}
	if ok {
		cfg.HTTPClient = client.WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 2 * concurrency
			t.MaxIdleConnsPerHost = concurrency
			t.ForceAttemptHTTP2 = false // HTTP/1.1: each connection carries one run, so that one broken connection ends one run; see traced
		})
	}
	once := func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} }
	return lambda.NewFromConfig(cfg, append([]func(*lambda.Options){once}, options...)...)
}
