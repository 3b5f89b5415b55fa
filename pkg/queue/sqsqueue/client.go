package sqsqueue

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

const (
	// maxIdle is how many idle connections to a host are kept open. Each poll
	// uses one. The SDK's default of ten would close and open a connection for
	// most calls of a busy process.
	maxIdle = 128

	// answerWithin bounds one attempt, from its sending to the headers of the
	// answer: the longest poll and a margin. It ends a call on a connection
	// that was lost without notice.
	answerWithin = queue.MaxWait + 10*time.Second

	attempts   = 3
	maxBackoff = 5 * time.Second
)

// NewClient returns a client for long polls that tries each call up to three
// times. It also retries OverLimit and throttling by KMS, which the SDK's
// standard retryer does not. It is the only layer that retries calls.
func NewClient(cfg aws.Config, opts ...func(*sqs.Options)) *sqs.Client {
	suit := func(o *sqs.Options) {
		o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 2 * maxIdle
			t.MaxIdleConnsPerHost = maxIdle
			t.ResponseHeaderTimeout = answerWithin
		})
		standard := retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.MaxBackoff = maxBackoff
		})
		o.Retryer = retry.AddWithErrorCodes(standard,
			"OverLimit", "AWS.SimpleQueueService.OverLimit", "KmsThrottled", "KMS.ThrottlingException")
	}
	return sqs.NewFromConfig(cfg, append([]func(*sqs.Options){suit}, opts...)...)
}
