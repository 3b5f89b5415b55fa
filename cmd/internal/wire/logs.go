package wire

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/aws/smithy-go/logging"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// sdkLog carries what the SDKs say by themselves to the process's own log. It is
// detail: what a failed call means is judged and logged by those who make it.
// go-redis has one logger in a process, so the last fleet that was opened has it.
type sdkLog struct{ to atomic.Pointer[zap.Logger] }

var (
	redisLog     sdkLog
	setRedisOnce sync.Once
)

// logRedis has go-redis log to a logger; without one it writes to stderr.
func logRedis(log *zap.Logger) {
	redisLog.to.Store(log.Named("redis"))
	setRedisOnce.Do(func() { redis.SetLogger(&redisLog) })
}

// Printf is called by go-redis.
func (l *sdkLog) Printf(_ context.Context, format string, v ...any) {
	l.to.Load().Debug(fmt.Sprintf(format, v...))
}

// awsLog is a logger for clients of the AWS SDK.
func awsLog(log *zap.Logger) logging.Logger {
	log = log.Named("aws")
	return logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
		log.Debug(fmt.Sprintf(format, v...))
	})
}
