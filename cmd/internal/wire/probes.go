package wire

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/cmd/internal/redisprobe"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/s3store"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/credential/awssts"
	"github.com/scriptfleet/scriptfleet/pkg/function/awslambda"
	"github.com/scriptfleet/scriptfleet/pkg/layer"
	"github.com/scriptfleet/scriptfleet/pkg/probe"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// The names of a process's dependencies, and how often each is probed.
// deploy/README.md lists what the calls cost on AWS, and what they cannot find.
const (
	redisEvery     = 2 * time.Second
	keepsEvery     = 15 * time.Second
	channelsEvery  = time.Minute
	sqsEvery       = 15 * time.Second
	lambdaEvery    = 30 * time.Second
	s3Every        = 30 * time.Second
	stsEvery       = time.Minute
	installerEvery = time.Minute
	ownEvery       = time.Second // for state of the process itself

	redisWithin     = 3 * time.Second
	awsWithin       = 10 * time.Second // including the client's retries
	installerWithin = 3 * time.Minute  // including a fetch of uv
)

// reach are the dependencies that must answer before a process can be
// assembled.
func (f *Fleet) reach() []probe.Part {
	return []probe.Part{
		{Name: "redis", Every: redisEvery, Within: redisWithin, Try: f.redisProbe().Try},
		{Name: "sqs", Every: sqsEvery, Within: awsWithin, Try: f.trySQS},
	}
}

// Basics are what every fleet stands on: Redis, SQS and Lambda.
func (f *Fleet) Basics() []probe.Part { return append(f.reach(), f.lambdaPart()) }

func (f *Fleet) redisProbe() *redisprobe.Probe { return redisprobe.New(f.redis, f.Settings.Prefix) }

// keepsPart tests that Redis evicts no key before its TTL. A process works without
// that, but the books may be wrong.
func (f *Fleet) keepsPart() probe.Part {
	redis := f.redisProbe()
	return probe.Part{Name: "redis-keeps", Every: keepsEvery, Within: redisWithin, Optional: true, Try: func(ctx context.Context) error {
		evicted, err := redis.Keeps(ctx)
		f.evictedKeys.Set(float64(evicted))
		return err
	}}
}

// evictedKeys is the metric of keepsPart. A process has one, also if both a
// dispatcher and a worker run in it.
func evictedKeys(reg prometheus.Registerer) prometheus.Gauge {
	return promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name: "scriptfleet_redis_evicted_keys", Help: "Keys that Redis has evicted since it started, or since its statistics were reset.",
	})
}

// Evicted returns how many keys Redis has evicted, and an error that says what to
// do about it.
func (f *Fleet) Evicted(ctx context.Context) (int64, error) { return f.redisProbe().Keeps(ctx) }

// channelsPart tests that a finished build can be published to waiting workers;
// without that they poll. Each try is a message to every worker.
func (f *Fleet) channelsPart() probe.Part {
	return probe.Part{Name: "redis-channels", Every: channelsEvery, Within: redisWithin, Optional: true, Try: f.redisProbe().Channels}
}

// trySQS returns nil when SQS answers, also with a refusal: opening the queues
// reports what SQS refuses.
func (f *Fleet) trySQS(ctx context.Context) error {
	_, err := f.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(f.Names().Requests)})
	var api smithy.APIError
	if err == nil || errors.As(err, &api) && api.ErrorFault() != smithy.FaultServer {
		return nil
	}
	return fmt.Errorf("SQS does not answer: %w", err)
}

// queuePart probes one of the queues at a time, and the next one after a
// success: a failure of one of many partitions is found a little later.
func queuePart(name string, qs ...queue.Queue) probe.Part {
	var next atomic.Int64
	return probe.Part{Name: name, Every: sqsEvery, Within: awsWithin, Try: func(ctx context.Context) error {
		if _, err := qs[int(next.Load())%len(qs)].Depth(ctx); err != nil {
			return err
		}
		next.Add(1)
		return nil
	}}
}

// s3Part reads an object that does not exist: the answer shows that the bucket
// exists and that this process may read from it.
func (f *Fleet) s3Part(below string) []probe.Part {
	if f.Settings.Bucket == "" {
		return nil
	}
	store := s3store.New(f.s3, f.Settings.Bucket)
	return []probe.Part{{Name: "s3", Every: s3Every, Within: awsWithin, Try: func(ctx context.Context) error {
		_, err := store.Get(ctx, f.Settings.Prefix+"/"+below+"/probe", 1)
		if err == nil || errors.Is(err, claimcheck.ErrNoObject) {
			return nil
		}
		return fmt.Errorf("bucket %s: %w", f.Settings.Bucket, err)
	}}}
}

// lambdaPart calls GetFunction for a function that does not exist.
func (f *Fleet) lambdaPart() probe.Part {
	client := awslambda.NewClient(f.aws, 1)
	return probe.Part{Name: "lambda", Every: lambdaEvery, Within: awsWithin, Try: func(ctx context.Context) error {
		_, err := client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(f.Settings.Prefix + "-probe")})
		var missing *lambdatypes.ResourceNotFoundException
		if err == nil || errors.As(err, &missing) {
			return nil
		}
		return fmt.Errorf("ask Lambda for a function: %w", err)
	}}
}

// stsParts test the process's own credentials, and that they may assume the
// tenant role.
func (f *Fleet) stsParts(w config.Worker) []probe.Part {
	client := sts.NewFromConfig(f.aws)
	parts := []probe.Part{{Name: "sts", Every: stsEvery, Within: awsWithin, Try: func(ctx context.Context) error {
		if _, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
			return fmt.Errorf("ask STS who this process is: %w", err)
		}
		return nil
	}}}
	if w.TenantRoleARN == "" {
		return parts
	}
	roles := awssts.New(client)
	return append(parts, probe.Part{Name: "tenant-role", Every: stsEvery, Within: awsWithin, Try: func(ctx context.Context) error {
		_, err := roles.AssumeRole(ctx, credential.Request{
			RoleARN: w.TenantRoleARN, SessionName: "scriptfleet-probe", Duration: 15 * time.Minute,
			Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`,
		})
		if err != nil {
			return fmt.Errorf("assume %s (--tenant-role-arn): %w", w.TenantRoleARN, err)
		}
		return nil
	}})
}

// installerPart tests that layers can be built for the default runtime.
func (f *Fleet) installerPart(layers *layer.Builder) probe.Part {
	return probe.Part{Name: "installer", Every: installerEvery, Within: installerWithin, Try: func(ctx context.Context) error {
		r, ok := run.Runtimes().Find(f.Settings.DefaultRuntime)
		if !ok {
			return fmt.Errorf("--default-runtime: there is no runtime %s", f.Settings.DefaultRuntime)
		}
		return layers.Ready(ctx, r.Python)
	}}
}

// Own is the probe of the process itself: whether it takes work.
func Own(name string, ready func() error) probe.Part {
	return probe.Part{Name: name, Every: ownEvery, Quiet: true, Try: func(context.Context) error { return ready() }}
}
