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
	// maxIdle keeps the connections of a busy process open: polls hold one
	// each, and the SDK's ten would have the others made anew for every call.
	maxIdle = 128

	// answerWithin bounds one attempt from its sending to the answer's headers:
	// the longest poll and a margin. A connection that has died in silence is
	// noticed by it.
	answerWithin = queue.MaxWait + 10*time.Second

	attempts   = 3
	maxBackoff = 5 * time.Second
)

// NewClient makes a client that suits long polls and that tries whole calls
// again, up to three times, also where SQS is over a limit or KMS throttles it,
// which the SDK by itself takes for final. It is the only layer that does.
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
