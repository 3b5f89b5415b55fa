package localaws

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/lambda"
)

// Config says where the stack listens and what it holds. The zero value is a
// stack in memory on two free ports.
type Config struct {
	AWSAddr   string // loopback host:port; port 0, or empty, takes a free one
	RedisAddr string // likewise
	DataDir   string // empty keeps everything in memory
	CacheDir  string // for what is worth keeping between stacks; empty is the user's cache folder

	Prefix     string // of the names of queues, bucket and roles: scriptfleet
	Partitions int    // partition queues: 8
	Region     string // eu-central-2; see defaultRegion
	Account    string // 123456789012

	Roles  []Role        // that can be assumed, beside the stack's own
	Lambda lambda.Config // its limits; where and whose it is follows from the rest
	Log    *zap.Logger

	// SDK returns a layer with boto3 for a runtime, such as python3.13, which
	// scripts find as on Lambda; nil gives them none.
	SDK func(ctx context.Context, runtime string) (zip []byte, err error)

	Registerer prometheus.Registerer // of the stack's own metrics; nil registers none
}

// Role is a role that can be assumed.
type Role struct {
	ARN         string
	ExternalIDs []string // of which AssumeRole has to name one; none asks for none
	Policy      string   // JSON, what its sessions may do; empty is nothing
}

// defaultRegion is a region whose SQS the AWS CLI has no other name for. In
// those that are older, us-east-1 among them, its version 1 calls AWS itself
// whatever AWS_ENDPOINT_URL says, unless each command has --endpoint-url too.
const defaultRegion = "eu-central-2"

func (c Config) withDefaults() Config {
	c.AWSAddr = cmp.Or(c.AWSAddr, "127.0.0.1:0")
	c.RedisAddr = cmp.Or(c.RedisAddr, "127.0.0.1:0")
	c.Prefix = cmp.Or(c.Prefix, "scriptfleet")
	c.Partitions = cmp.Or(c.Partitions, 8)
	c.Region = cmp.Or(c.Region, defaultRegion)
	c.Account = cmp.Or(c.Account, "123456789012")
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

func (c Config) check() error {
	if err := loopback("AWS", "--aws-addr", c.AWSAddr); err != nil {
		return err
	}
	if err := loopback("Redis", "--redis-addr", c.RedisAddr); err != nil {
		return err
	}
	if c.Partitions < 1 {
		return fmt.Errorf("the number of partitions is %d; it takes at least one", c.Partitions)
	}
	return nil
}

// loopback refuses addresses that other machines could reach: scripts run
// behind them.
func loopback(what, flag, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("read %s address %q: %w; %s takes host:port, such as 127.0.0.1:0", what, addr, err, flag)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("refuse %s address %q: the embedded stack listens on loopback only; give %s an address such as 127.0.0.1:0", what, addr, flag)
}

// unpackedDir is where unpacked layers are kept between stacks; empty where
// there is no such place.
func (c Config) unpackedDir() string {
	if c.CacheDir != "" {
		return filepath.Join(c.CacheDir, "unpacked")
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(user, "scriptfleet", "unpacked")
}

func (r Role) parse() (auth.Role, error) {
	parsed := auth.Role{ARN: r.ARN, ExternalIDs: r.ExternalIDs}
	if r.Policy == "" {
		return parsed, nil
	}
	policy, err := auth.ParsePolicy(r.Policy)
	if err != nil {
		return auth.Role{}, fmt.Errorf("add role %s: %w", r.ARN, err)
	}
	parsed.Policy = policy
	return parsed, nil
}
