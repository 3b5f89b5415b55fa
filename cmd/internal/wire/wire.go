// Package wire assembles a fleet: it turns settings into clients of AWS and
// Redis, and connects contracts with their implementations. The three binaries
// share it, so an embedded fleet is assembled like a production one.
package wire

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/logging"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/s3store"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/probe"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// Fleet holds a process's clients and settings.
type Fleet struct {
	Settings config.Fleet
	Policy   *run.Policy
	Ledger   ledger.Ledger
	Log      *zap.Logger
	Registry *prometheus.Registry
	Traces   *trace.Tracer // of the fleet's parts in this process; nil: nothing is traced

	tenants *tenant.File
	aws     aws.Config
	sqs     *sqs.Client
	s3      *s3.Client
	redis   *redis.Client

	evictedKeys prometheus.Gauge // nil after Dial

	parts *probe.Prober // of a production process, else nil
	own   string        // the part among them that is the process itself
}

// AWS loads the AWS SDK's configuration from the environment.
func AWS(ctx context.Context) (aws.Config, error) {
	if err := checkEndpoints(os.Environ()); err != nil {
		return aws.Config{}, err
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if cfg.BaseEndpoint != nil {
		if err := checkEndpoint("the AWS configuration's endpoint_url", *cfg.BaseEndpoint); err != nil {
			return aws.Config{}, err
		}
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("no AWS region is set: set AWS_REGION, or take the environment that scriptfleet local prints")
	}
	return cfg, nil
}

// Open makes the clients, and the rules for requests. It makes no call, except
// to create the queues if the settings ask for it. The caller must call Close.
func Open(ctx context.Context, settings config.Fleet, cfg aws.Config, log *zap.Logger, reg *prometheus.Registry) (*Fleet, error) {
	f, err := open(settings, cfg, log, reg)
	if err != nil {
		return nil, err
	}
	if err := f.createQueues(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// open makes the clients and the rules without any call.
func open(settings config.Fleet, cfg aws.Config, log *zap.Logger, reg *prometheus.Registry) (*Fleet, error) {
	if settings.RedisURL == "" {
		return nil, ErrNoRedis
	}
	f, err := Dial(settings, cfg, log, reg)
	if err != nil {
		return nil, err
	}
	registerVersion(reg)
	f.evictedKeys = evictedKeys(reg)
	of := config.OfTenants{MemoryMB: func(name string) int { return f.tenants.Limits(name).MemoryMB }, PrivateIndex: f.indexName}
	if f.Policy, err = settings.Policy(function.HandlerVersion(), of); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ErrNoRedis is the error of settings without a Redis.
var ErrNoRedis = errors.New("no Redis is set: give --redis-url or REDIS_URL, or take the environment that scriptfleet local prints")

// Dial makes the clients only, for commands that take no requests. The client
// of Redis is nil if no Redis is set.
func Dial(settings config.Fleet, cfg aws.Config, log *zap.Logger, reg *prometheus.Registry) (*Fleet, error) {
	if err := settings.Check(); err != nil {
		return nil, err
	}
	logRedis(log)
	cfg.Logger = awsLog(log)
	spent := newSpent(reg)
	f := &Fleet{
		Settings: settings, Log: log, Registry: reg,
		aws: cfg,
		sqs: sqsqueue.NewClient(cfg, spent.sqs),
		s3:  s3store.NewClient(cfg),
	}
	var err error
	if f.tenants, err = tenant.New(tenant.Config{Path: settings.TenantsFile}, tenant.Deps{Log: log, Registerer: reg}); err != nil {
		return nil, err
	}
	if settings.RedisURL == "" {
		return f, nil
	}
	if err := f.openRedis(); err != nil {
		return f, err
	}
	f.redis.AddHook(spent)
	return f, nil
}

// createQueues creates missing queues if the settings ask for it.
func (f *Fleet) createQueues(ctx context.Context) error {
	if !f.Settings.CreateQueues {
		return nil
	}
	if err := sqsqueue.Ensure(ctx, f.sqs, f.Names()); err != nil {
		return fmt.Errorf("create the queues: %w", err)
	}
	return nil
}

// Where is a description of the fleet's addresses, without secrets.
func (f *Fleet) Where() string {
	at := "on AWS in " + f.aws.Region
	if f.aws.BaseEndpoint != nil {
		at = "at " + *f.aws.BaseEndpoint
	}
	return fmt.Sprintf("%s %s, Redis at %s", f.Settings.Prefix, at, f.redis.Options().Addr)
}

// Close closes what Open has opened.
func (f *Fleet) Close() {
	if f.redis != nil {
		_ = f.redis.Close()
	}
}

// FollowTenants is a part that reads the tenants' settings again when they
// change.
func (f *Fleet) FollowTenants() service.Part {
	return service.Part{Name: "tenants' settings", Run: func(intake, _ context.Context) error { return f.tenants.Run(intake) }}
}

// WatchTenants calls with with the tenants' settings: now, and each time that
// FollowTenants has read changed ones.
func (f *Fleet) WatchTenants(with func(*tenant.Settings)) { f.tenants.Watch(with) }

// Names are the names of the fleet's queues.
func (f *Fleet) Names() queue.Names { return queue.NamesOf(f.Settings.Prefix, f.Settings.Partitions) }

// Requests, Results, RequestsDLQ, PartitionDLQ, Side and Partitions open the
// fleet's queues. If a bucket is set, bodies that are too large for a queue
// travel through it.
func (f *Fleet) Requests(ctx context.Context) (queue.Queue, error) {
	return f.open(ctx, f.Names().Requests, claimcheck.Requests(f.Settings.Prefix))
}

// Results is the queue with the results for stories.
func (f *Fleet) Results(ctx context.Context) (queue.Queue, error) {
	return f.open(ctx, f.Names().Results, claimcheck.Results(f.Settings.Prefix))
}

// Copied is a queue to which the platform copies results.
func (f *Fleet) Copied(ctx context.Context, name string) (queue.Queue, error) {
	return f.open(ctx, name, claimcheck.Results(f.Settings.Prefix))
}

// RequestsDLQ is the queue of requests without a tenant or an identity.
func (f *Fleet) RequestsDLQ(ctx context.Context) (queue.Queue, error) {
	return f.open(ctx, f.Names().RequestsDLQ, claimcheck.Requests(f.Settings.Prefix))
}

// PartitionDLQ is the queue of deliveries that no worker could settle.
func (f *Fleet) PartitionDLQ(ctx context.Context) (queue.Queue, error) {
	return f.partition(ctx, f.Names().PartitionDLQ)
}

// Side is the side partition, for tenants over their backlog budget.
func (f *Fleet) Side(ctx context.Context) (queue.Queue, error) {
	return f.partition(ctx, f.Names().Side)
}

// Partitions are the queues between dispatchers and workers.
func (f *Fleet) Partitions(ctx context.Context) ([]queue.Queue, error) {
	var qs []queue.Queue
	for _, name := range f.Names().Partitions {
		q, err := f.partition(ctx, name)
		if err != nil {
			return nil, err
		}
		qs = append(qs, q)
	}
	return qs, nil
}

// Depth returns the depth of a queue of the fleet.
func (f *Fleet) Depth(ctx context.Context, name string) (queue.Depth, error) {
	q, err := f.open(ctx, name, claimcheck.Config{})
	if err != nil {
		return queue.Depth{}, err
	}
	return q.Depth(ctx)
}

func (f *Fleet) partition(ctx context.Context, name string) (queue.Queue, error) {
	return f.open(ctx, name, claimcheck.Runs(f.Settings.Prefix))
}

func (f *Fleet) open(ctx context.Context, name string, cfg claimcheck.Config) (queue.Queue, error) {
	q, err := sqsqueue.Open(ctx, f.sqs, name)
	if err != nil {
		var missing *sqstypes.QueueDoesNotExist
		if errors.As(err, &missing) {
			err = fmt.Errorf("%w (is --prefix right? --create-queues of dispatcher and worker makes the queues that are missing)", err)
		}
		return nil, err
	}
	return f.withBucket(q, cfg), nil
}

// withBucket lets bodies that are too large for the queue travel through the
// bucket, if one is set.
func (f *Fleet) withBucket(q queue.Queue, cfg claimcheck.Config) queue.Queue {
	if f.Settings.Bucket == "" {
		return q
	}
	cfg.Log = f.Log
	return claimcheck.Wrap(q, s3store.New(f.s3, f.Settings.Bucket), cfg)
}
