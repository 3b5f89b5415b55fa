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

// sdkLog writes log lines of the SDKs to the process's own log, at debug level:
// the callers judge and log failed calls themselves. go-redis has one logger
// per process, so the fleet that was opened last has it.
type sdkLog struct{ to atomic.Pointer[zap.Logger] }

var (
	redisLog     sdkLog
	setRedisOnce sync.Once
)

// logRedis sets go-redis's logger; by default it writes to stderr.
func logRedis(log *zap.Logger) {
	redisLog.to.Store(log.Named("redis"))
	setRedisOnce.Do(func() { redis.SetLogger(&redisLog) })
}

// Printf implements go-redis's logger.
func (l *sdkLog) Printf(_ context.Context, format string, v ...any) {
	l.to.Load().Debug(fmt.Sprintf(format, v...))
}

// awsLog returns a logger for clients of the AWS SDK.
func awsLog(log *zap.Logger) logging.Logger {
	log = log.Named("aws")
	return logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
		log.Debug(fmt.Sprintf(format, v...))
	})
}
