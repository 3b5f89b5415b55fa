package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/builds/redisrecords"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/function/awslambda"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/layer"
	"github.com/scriptfleet/scriptfleet/pkg/lease/redislease"
	"github.com/scriptfleet/scriptfleet/pkg/probe"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/ratelimit/redisratelimit"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/runtimezip"
	"github.com/scriptfleet/scriptfleet/pkg/service"
	"github.com/scriptfleet/scriptfleet/pkg/shape"
	"github.com/scriptfleet/scriptfleet/pkg/slot/redisslot"
	"github.com/scriptfleet/scriptfleet/worker"
)

// Worker assembles a worker. progress, if not nil, is called with each line of
// a layer build's log.
func (f *Fleet) Worker(ctx context.Context, p config.Process, w config.Worker, progress func(run.EnvHash, string)) (Running, error) {
	if err := w.Check(); err != nil {
		return Running{}, err
	}
	if w.Name == "" {
		w.Name = processName()
	}
	partitions, err := f.Partitions(ctx)
	if err != nil {
		return Running{}, err
	}
	side, err := f.Side(ctx)
	if err != nil {
		return Running{}, err
	}
	results, err := f.Results(ctx)
	if err != nil {
		return Running{}, err
	}
	dlq, err := f.PartitionDLQ(ctx)
	if err != nil {
		return Running{}, err
	}
	sessions, err := f.sessions(w)
	if err != nil {
		return Running{}, err
	}
	credentials, err := f.credentials(w)
	if err != nil {
		return Running{}, err
	}
	functions := f.Functions(w.Concurrency, sessions)
	layers, interpreters, err := f.layers(ctx, w, progress)
	if err != nil {
		return Running{}, err
	}
	builds := f.builder(w, functions, layers, interpreters)
	running := worker.New(worker.Config{
		Name: w.Name, Concurrency: w.Concurrency, Reserve: w.Reserve, MaxParked: w.MaxParked, MaxParkedMB: w.MaxParkedMB,
		PollWait: p.PollWait, MaxLinger: &p.MaxLinger, Visibility: w.Visibility, MaxAttempts: w.MaxAttempts, GiveUpAfter: w.GiveUpAfter,
		EnvRunner: w.EnvRunner == "on",
	}, worker.Deps{
		Partitions: partitions, Side: side, Results: results, DeadLetter: dlq,
		Ledger: f.Ledger, Builds: builds, Functions: functions, Credentials: credentials, Tenants: f.Tenants(), Scripts: f.resolver(),
		Slots:  f.Slots(),
		Policy: f.Policy, Traces: f.Traces, Log: f.Log, Registerer: f.Registry,
	})
	part := Running{
		Part: service.Part{Name: "worker", Run: func(intake, work context.Context) error {
			// Builds for which no delivery in hand waits end with the worker: they
			// release their leases, and a run that needs one starts it again.
			defer func() { _ = builds.Close(ended(work)) }()
			return running.Run(intake, work)
		}},
		Ready: running.Ready,
		Parts: slices.Concat([]probe.Part{
			queuePart("partition-queues", partitions...), queuePart("side-queue", side), queuePart("results-queue", results),
			queuePart("partition-dlq", dlq), f.lambdaPart(), f.installerPart(layers), f.keepsPart(), f.channelsPart(),
		}, f.stsParts(w), f.s3Part("runs")),
	}
	return f.announced(f.watch(shape.Worker, w.Name, w.Concurrency), part), nil
}

// Functions returns the fleet's functions, for up to concurrency concurrent
// invocations. With nil sessions the process's own keys sign them.
func (f *Fleet) Functions(concurrency int, sessions awslambda.Sessions) *awslambda.Functions {
	deps := awslambda.Deps{Lambda: awslambda.NewClient(f.aws, concurrency), Uploads: f.uploads(), Sessions: sessions}
	if keys, kept := f.aws.Credentials.(*aws.CredentialsCache); kept {
		deps.Keys = keys
	}
	return awslambda.New(awslambda.Config{NamePrefix: f.Settings.Prefix + "-"}, deps)
}

// Slots counts the runs that each tenant has at work in the whole fleet.
func (f *Fleet) Slots() *redisslot.Slots {
	return redisslot.New(redisslot.Config{Prefix: f.Settings.Prefix}, f.redis)
}

// Records are the records of the fleet's builds.
func (f *Fleet) Records() *redisrecords.Records {
	return redisrecords.New(f.redis, f.Settings.Prefix)
}

// Limiter is the fleet-wide rate limiter of Lambda's control plane.
func (f *Fleet) Limiter() ratelimit.Limiter {
	return redisratelimit.New(redisratelimit.Config{Prefix: f.Settings.Prefix, Rate: function.ControlPlane}, f.redis)
}

// layers makes the layer builder and finds this machine's interpreters.
func (f *Fleet) layers(ctx context.Context, w config.Worker, progress func(run.EnvHash, string)) (*layer.Builder, interpreter.Set, error) {
	interpreters, err := interpreter.Default(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("find Python: %w", err)
	}
	if _, err := os.UserCacheDir(); err != nil && w.CacheDir == "" {
		return nil, nil, fmt.Errorf("find a folder for built layers: %w; give --cache-dir", err)
	}
	layers, err := layer.New(layer.Config{CacheDir: w.CacheDir, UV: w.UV, SourceBuilds: w.SourceBuilds, Index: f.Settings.Index},
		layer.Deps{Log: f.Log, Registerer: f.Registry, Interpreters: interpreters, PrivateIndex: f.privateIndex, Denied: f.tenants.Denied, Progress: progress})
	if err != nil {
		return nil, nil, fmt.Errorf("prepare layer builds: %w", err)
	}
	return layers, interpreters, nil
}

// builder assembles the builder of layers and functions.
func (f *Fleet) builder(w config.Worker, functions *awslambda.Functions, layers *layer.Builder, interpreters interpreter.Set) *builds.Builder {
	return builds.New(builds.Config{
		Prefix: f.Settings.Prefix, RoleARN: w.RoleARN, HandlerName: function.Handler, Worker: w.Name, MaxBuilds: w.MaxBuilds, BuildAfter: w.BuildAfter,
	}, builds.Deps{
		Leases:   redislease.New(f.redis, f.Settings.Prefix),
		Records:  f.Records(),
		Limiter:  f.Limiter(),
		Maker:    functions,
		Layers:   runtimezip.Layers{Zips: f.RuntimeZips(), Requirements: layers},
		Denied:   f.tenants.Denied,
		Packager: function.Packager{Interpreters: interpreters},
		Traces:   f.Traces,
		Log:      f.Log, Registerer: f.Registry,
	})
}

// uploads stores zips that are too large for a call in the fleet's bucket.
func (f *Fleet) uploads() awslambda.Uploads {
	if f.Settings.Bucket == "" {
		return nil
	}
	return uploads{f}
}

type uploads struct{ f *Fleet }

func (u uploads) Upload(ctx context.Context, key string, body []byte) (bucket, objectKey string, err error) {
	bucket, objectKey = u.f.Settings.Bucket, u.f.Settings.Prefix+"/zips/"+key
	_, err = u.f.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(objectKey), Body: bytes.NewReader(body),
	})
	if err != nil {
		return "", "", fmt.Errorf("upload %s: %w", objectKey, err)
	}
	return bucket, objectKey, nil
}

func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// ended is a context that has ended: closing something with it ends its work at
// once.
func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// Misconfigured tells whether a process or a command has ended for a setting that
// was found not to work only when it was used.
func Misconfigured(err error) bool {
	var setting *layer.SettingError
	return errors.As(err, &setting)
}
