package localaws

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// maxReceives is high on purpose: every put-back counts as a receive, and the
// fleet counts attempts itself.
const maxReceives = 1000

// deadRetention is how long dead letters stay, in seconds: 14 days, the maximum
// of SQS, because people have to look at them.
const deadRetention = "1209600"

// attributesOf are the attributes with which a queue of the fleet is made.
func (c Config) attributesOf(names queue.Names, name string) map[string]string {
	if name == names.RequestsDLQ || name == names.PartitionDLQ {
		return map[string]string{"MessageRetentionPeriod": deadRetention}
	}
	dead := names.Redrives()[name]
	if dead == "" {
		return nil
	}
	return map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:%s:%s","maxReceiveCount":%d}`,
		c.Region, c.Account, dead, maxReceives)}
}

// Bucket is the bucket of claim checks and large layers.
func (c Config) Bucket() string { return c.Prefix + "-" + c.Account }

// ScriptRole is the role of functions. It has no permissions, and cannot be
// assumed.
func (c Config) ScriptRole() string { return c.role("script") }

// TenantRole is the role whose sessions reach the functions of one tenant; the
// session's policy restricts it to the tenant.
func (c Config) TenantRole() string { return c.role("tenant") }

func (c Config) role(name string) string {
	return "arn:aws:iam::" + c.Account + ":role/" + c.Prefix + "-" + name
}

// Endpoint is the URL of all AWS services.
func (s *Stack) Endpoint() string { return "http://" + s.awsAddr }

// RedisURL is the URL of Redis, with the password.
func (s *Stack) RedisURL() string {
	return "redis://:" + s.secrets.RedisPassword + "@" + s.redis.addr() + "/0"
}

// OwnRedisURL is the URL of Redis for this process's own clients. Where there is a
// redis-server it is that of its socket, past the door: that saves each call two
// copies and the wake-ups of two goroutines, some 0.2 ms.
func (s *Stack) OwnRedisURL() string {
	if child, ok := s.redis.server.(*redisChild); ok {
		return "unix://:" + s.secrets.RedisPassword + "@" + child.socket
	}
	return s.RedisURL()
}

// Redis names the server behind RedisURL.
func (s *Stack) Redis() string { return s.redis.server.name() }

// Key is the root access key and its secret: it allows everything.
func (s *Stack) Key() (id, secret string) { return s.secrets.AccessKey, s.secrets.SecretKey }

// Config is the stack's configuration, with defaults filled in.
func (s *Stack) Config() Config { return s.cfg }

// Env are the variables that point another process to the stack, as NAME=value.
func (s *Stack) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.Endpoint(),
		"AWS_REGION=" + s.cfg.Region,
		"AWS_DEFAULT_REGION=" + s.cfg.Region,
		"AWS_ACCESS_KEY_ID=" + s.secrets.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.secrets.SecretKey,
		"REDIS_URL=" + s.RedisURL(),
		"SCRIPTFLEET_PREFIX=" + s.cfg.Prefix,
		"SCRIPTFLEET_PARTITIONS=" + strconv.Itoa(s.cfg.Partitions),
		"SCRIPTFLEET_BUCKET=" + s.cfg.Bucket(),
		"SCRIPTFLEET_ROLE_ARN=" + s.cfg.ScriptRole(),
		"SCRIPTFLEET_TENANT_ROLE_ARN=" + s.cfg.TenantRole(),
	}
}

// AWSConfig is an SDK configuration for the stack. S3 clients must also set
// UsePathStyle.
func (s *Stack) AWSConfig() aws.Config {
	return aws.Config{
		Region:       s.cfg.Region,
		BaseEndpoint: aws.String(s.Endpoint()),
		Credentials:  credentials.NewStaticCredentialsProvider(s.secrets.AccessKey, s.secrets.SecretKey, ""),
	}
}
