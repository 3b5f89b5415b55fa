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

// Config configures a stack. The zero value is a stack in memory on two free
// ports.
type Config struct {
	AWSAddr   string // loopback host:port; port 0, or empty: a free port
	RedisAddr string // as AWSAddr
	DataDir   string // empty: everything is in memory
	CacheDir  string // for caches that later stacks reuse; empty: the user's cache folder

	Prefix     string // prefix of the names of queues, bucket and roles; default scriptfleet
	Partitions int    // number of partition queues; default 8
	Region     string // default eu-central-2; see defaultRegion
	Account    string // default 123456789012

	Roles  []Role        // roles besides the stack's own
	Lambda lambda.Config // Lambda's limits; Start sets its folders, database, region and account
	Log    *zap.Logger

	// SDK returns a layer with boto3 for a runtime, such as python3.13; scripts
	// can import it as on Lambda. Nil: they cannot.
	SDK func(ctx context.Context, runtime string) (zip []byte, err error)

	Registerer prometheus.Registerer // for the stack's own metrics; nil: none
}

// Role is a role that clients can assume: those with keys of the stack's own
// account.
type Role struct {
	ARN         string
	ExternalIDs []string // AssumeRole must name one of them; none: no external ID is asked for
	Policy      string   // JSON, upper bound of its sessions' permissions; empty: nothing
}

// defaultRegion is a region for which version 1 of the AWS CLI has no special
// host name of SQS. In older regions, such as us-east-1, that version ignores
// AWS_ENDPOINT_URL for SQS and calls AWS, unless each command has
// --endpoint-url.
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

// loopback refuses addresses that other machines can reach: the stack runs
// scripts for its clients.
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

// unpackedDir is the folder in which unpacked layers are kept between stacks,
// or "" if there is none.
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

// CheckPolicy fails if document is not a policy that a Role can have.
func CheckPolicy(document string) error {
	_, err := auth.ParsePolicy(document)
	return err
}

func (r Role) parse(account string) (auth.Role, error) {
	parsed := auth.Role{ARN: r.ARN, ExternalIDs: r.ExternalIDs, Principal: account}
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
