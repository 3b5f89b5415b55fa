package probe

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// thing is a part of a process that goes up and down.
type thing struct {
	away  atomic.Pointer[error]
	tries atomic.Int64
}

func (s *thing) breaks(err error) { s.away.Store(&err) }
func (s *thing) mends()           { s.away.Store(nil) }

func (s *thing) part(name string) Part {
	return Part{Name: name, Every: 4 * time.Second, Try: func(context.Context) error {
		s.tries.Add(1)
		if err := s.away.Load(); err != nil {
			return *err
		}
		return nil
	}}
}

type bench struct {
	*Prober
	reg *prometheus.Registry
	log *observer.ObservedLogs
}

// inBubble runs a test on the bubble's clock, and ends what tries parts.
func inBubble(t *testing.T, test func(ctx context.Context, b bench)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		core, log := observer.New(zap.InfoLevel)
		reg := prometheus.NewRegistry()
		test(ctx, bench{New(zap.New(core), reg), reg, log})
	})
}

func TestAPartGoesDownWithinItsPauseAndUpAgainWithinSeconds(t *testing.T) {
	inBubble(t, func(ctx context.Context, b bench) {
		redis := &thing{}
		b.Watch(ctx, redis.part("redis"))
		if s := b.States()[0]; s.Reason == nil {
			t.Error("a part is up that was never tried")
		}
		synctest.Wait()
		began := time.Now()
		if s := b.States()[0]; s.Reason != nil || !s.Since.Equal(began) {
			t.Errorf("at the start: %+v", s)
		}
		away := errors.New("connection refused")
		redis.breaks(away)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		down := b.States()[0]
		if down.Reason != away || down.Since.Before(began.Add(3*time.Second)) {
			t.Errorf("after 5 s: %+v", down)
		}
		time.Sleep(time.Minute)
		redis.breaks(errors.New("wrong password"))
		time.Sleep(3 * time.Second)
		if s := b.States()[0]; s.Reason.Error() != "wrong password" || s.Since != down.Since {
			t.Errorf("of another reason: %+v", s)
		}
		redis.mends()
		time.Sleep(3 * time.Second)
		if s := b.States()[0]; s.Reason != nil || s.Since.Before(began.Add(time.Minute)) {
			t.Errorf("3 s after it is mended: %+v", s)
		}
		if b.log.Len() != 2 {
			t.Errorf("an outage is logged %d times: %v", b.log.Len(), b.log.All())
		}
	})
}

func TestWhatWaitsForItsPartsBeginsOnceAllOfThemAreUp(t *testing.T) {
	inBubble(t, func(ctx context.Context, b bench) {
		broken, whole, other := &thing{}, &thing{}, &thing{}
		broken.breaks(errors.New("unknown authority"))
		other.breaks(errors.New("it is starting"))
		awaited := []Part{broken.part("lambda"), whole.part("redis")}
		b.Watch(ctx, append(awaited, other.part("worker"))...)
		begun := make(chan bool, 1)
		go func() { begun <- b.Await(ctx, awaited...) }()
		time.Sleep(time.Hour)
		select {
		case <-begun:
			t.Fatal("it has begun without one of its parts")
		default:
		}
		broken.mends()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		select {
		case ok := <-begun:
			if !ok {
				t.Error("it was told to stop")
			}
		default:
			t.Error("it has not begun")
		}
	})
}

func TestAnOptionalPartIsToldOfAndWaitedForByNone(t *testing.T) {
	inBubble(t, func(ctx context.Context, b bench) {
		channels, redis := &thing{}, &thing{}
		channels.breaks(errors.New("no channels"))
		part := channels.part("redis-channels")
		part.Optional = true
		b.Watch(ctx, part, redis.part("redis"))
		if !b.Await(ctx, part, redis.part("redis")) {
			t.Error("it was told to stop")
		}
		time.Sleep(time.Minute)
		s := b.States()[0]
		if s.Reason == nil || s.Holds() {
			t.Errorf("states: %+v", s)
		}
		if tries := channels.tries.Load(); tries > 21 { // three quarters of 4 s, at the shortest
			t.Errorf("it was tried %d times in a minute: what is down as a rule is not hurried", tries)
		}
		if b.log.Len() != 1 {
			t.Errorf("logged: %v", b.log.All())
		}
	})
}

func TestOneThatHangsIsDownAndHoldsUpNoOther(t *testing.T) {
	inBubble(t, func(ctx context.Context, b bench) {
		whole := &thing{}
		hangs := Part{Name: "s3", Every: time.Minute, Within: 2 * time.Second, Try: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		b.Watch(ctx, hangs, whole.part("redis"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		s := b.States()
		if s[0].Reason == nil || !strings.Contains(s[0].Reason.Error(), "no answer within 2s") || s[1].Reason != nil {
			t.Errorf("states: %+v", s)
		}
		const want = `
# HELP scriptfleet_component_up 1 while the part that the process stands on answered its last try, else 0.
# TYPE scriptfleet_component_up gauge
scriptfleet_component_up{part="redis"} 1
scriptfleet_component_up{part="s3"} 0
`
		if err := testutil.GatherAndCompare(b.reg, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	})
}

func TestProcessesThatStartAtOnceDoNotTryAtOnce(t *testing.T) {
	inBubble(t, func(ctx context.Context, b bench) {
		times := map[time.Time]bool{}
		tried := make(chan time.Time, 1000)
		for range 100 {
			b.Watch(ctx, Part{Name: "sqs", Every: 15 * time.Second, Try: func(context.Context) error {
				tried <- time.Now()
				return nil
			}})
		}
		synctest.Wait()
		for range 100 {
			<-tried // the first, at the start
		}
		time.Sleep(19 * time.Second)
		synctest.Wait()
		for len(tried) > 0 {
			times[<-tried] = true
		}
		if len(times) < 90 {
			t.Errorf("100 parts were tried at %d times", len(times))
		}
	})
}

func TestAPartThatLogsByItselfIsNotLoggedTwice(t *testing.T) {
	inBubble(t, func(ctx context.Context, b bench) {
		intake := &thing{}
		part := intake.part("worker")
		part.Quiet = true
		b.Watch(ctx, part)
		synctest.Wait()
		intake.breaks(errors.New("paused"))
		time.Sleep(10 * time.Second)
		intake.mends()
		time.Sleep(10 * time.Second)
		if b.log.Len() != 0 {
			t.Errorf("logged: %v", b.log.All())
		}
	})
}
