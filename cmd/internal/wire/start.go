package wire

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/service"
)

// probeWithin bounds one look at SQS and Redis, the retries of the client
// included.
const probeWithin = 10 * time.Second

// starter is a process whose part waits for SQS and Redis before it begins: the
// order in which a fleet starts does not matter. Until then it is not ready, and
// tells why.
type starter struct {
	fleet *Fleet
	name  string
	admin func() string // the admin address
	ready atomic.Pointer[func() error]

	failed error // why the part could not be put together; to be read when it has ended
}

func newStarter(f *Fleet, name string) *starter {
	s := &starter{fleet: f, name: name}
	s.not(errors.New("it is starting"))
	return s
}

func (s *starter) not(why error) {
	ready := func() error { return why }
	s.ready.Store(&ready)
}

// Ready is nil once the part takes work.
func (s *starter) Ready() error { return (*s.ready.Load())() }

// part waits, and then puts the part together and runs it.
func (s *starter) part(assemble func(context.Context, *Fleet) (Running, error)) service.Part {
	return service.Part{Name: s.name, Run: func(intake, work context.Context) error {
		if !s.await(intake) {
			return nil // it is told to stop
		}
		running, err := s.assembled(intake, assemble)
		if err != nil {
			s.failed = err
			return err
		}
		s.ready.Store(&running.Ready)
		s.fleet.Log.Info(s.name+" runs", zap.String("admin", s.admin()),
			zap.String("prefix", s.fleet.Settings.Prefix), zap.Int("partitions", s.fleet.Settings.Partitions))
		return running.Part.Run(intake, work)
	}}
}

func (s *starter) assembled(ctx context.Context, assemble func(context.Context, *Fleet) (Running, error)) (Running, error) {
	if err := s.fleet.createQueues(ctx); err != nil {
		return Running{}, err
	}
	return assemble(ctx, s.fleet)
}

// await returns true once both answer, and false when ctx ends first. It logs
// when the waiting begins and when what it waits for changes.
func (s *starter) await(ctx context.Context) bool {
	told := ""
	for pause := 250 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 5*time.Second) {
		sqsAway, redisAway := s.fleet.sqsAway(ctx), s.fleet.redisAway(ctx)
		if sqsAway == nil && redisAway == nil {
			return true
		}
		s.not(errors.Join(sqsAway, redisAway))
		if now := fmt.Sprint(sqsAway != nil, redisAway != nil); now != told && ctx.Err() == nil {
			told = now
			s.fleet.Log.Warn(s.name+" waits", zap.String("admin", s.admin()), zap.NamedError("sqs", sqsAway), zap.NamedError("redis", redisAway))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return false
}

// sqsAway is nil when SQS answers, if only that it refuses: what it refuses is
// told when the queues are opened.
func (f *Fleet) sqsAway(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	_, err := f.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(f.Names().Requests)})
	var api smithy.APIError
	if err == nil || errors.As(err, &api) && api.ErrorFault() != smithy.FaultServer {
		return nil
	}
	return fmt.Errorf("SQS does not answer: %w", err)
}

func (f *Fleet) redisAway(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	if err := f.redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("Redis does not answer: %w", err) //nolint:staticcheck // a name
	}
	return nil
}
