package wire

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/scriptfleet/scriptfleet/pkg/ledger/redisledger"
	"github.com/scriptfleet/scriptfleet/pkg/redisfault"
)

// openRedis makes the client. The fleet's own code decides when to retry a
// call, so the client tries once and has short timeouts. A connection is opened
// within the deadline of the call that needs it, so the handshake is HELLO
// only: with more round trips it would exceed the deadline of any call while
// Redis answers within seconds.
func (f *Fleet) openRedis() error {
	options, err := redisOptions(f.Settings.RedisURL)
	if err != nil {
		return err
	}
	if err := trust(options, f.Settings.RedisCA); err != nil {
		return err
	}
	options.MaxRetries = -1
	options.DialTimeout = 2 * time.Second
	options.ReadTimeout = 4 * time.Second
	options.ContextTimeoutEnabled = true
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	f.redis = redis.NewClient(options)
	f.redis.AddHook(redisfault.Redial())
	f.Ledger = redisledger.New(redisledger.Config{Prefix: f.Settings.Prefix}, f.redis)
	return nil
}

// trust makes the client check Redis' certificate with the authorities in a file,
// if one is set, instead of the system's.
func trust(options *redis.Options, file string) error {
	if file == "" {
		return nil
	}
	if options.TLSConfig == nil {
		return errors.New("--redis-ca is set, and the connection to Redis is not encrypted: use rediss:// in REDIS_URL (--redis-url)")
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read --redis-ca: %w", err)
	}
	options.TLSConfig.RootCAs = x509.NewCertPool()
	if !options.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("read --redis-ca: %s holds no certificate in PEM", file)
	}
	return nil
}
