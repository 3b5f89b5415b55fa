package localaws

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// open opens connections that say nothing.
func open(t *testing.T, addr string, n int) (conns []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		conns = append(conns, c)
	}
	return conns
}

// isClosed tells whether the other end has closed a connection, within a while
// where it is to.
func isClosed(c net.Conn, within time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(within))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func guarding(t *testing.T) *Stack {
	t.Helper()
	s, err := Start(t.Context(), Config{Roles: []Role{{ARN: "arn:aws:iam::123456789012:role/of-scripts"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func (s *Stack) client(key, secret, token string) *sts.Client {
	return sts.NewFromConfig(aws.Config{
		Region: s.cfg.Region, BaseEndpoint: aws.String("http://" + s.awsAddr), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, token),
		HTTPClient:  &http.Client{Transport: &http.Transport{}}, // with connections of its own
	})
}

func TestConnectionsThatSayNothingCloseEachOtherAndNoneOfTheFleets(t *testing.T) {
	s := guarding(t)
	fleet := s.client(s.secrets.AccessKey, s.secrets.SecretKey, "")
	store := goredis.NewClient(&goredis.Options{Addr: s.redis.addr(), Password: s.secrets.RedisPassword, MaxRetries: -1})
	defer store.Close()
	calls := func() {
		t.Helper()
		if _, err := fleet.GetCallerIdentity(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if err := store.Ping(t.Context()).Err(); err != nil {
			t.Error(err)
		}
	}
	calls() // both have a connection now
	for _, addr := range []string{s.awsAddr, s.redis.addr()} {
		conns := open(t, addr, mostStrangers+10)
		calls()
		if !isClosed(conns[0], 10*time.Second) {
			t.Errorf("%s holds more than %d connections that say nothing", addr, mostStrangers)
		}
		if isClosed(conns[len(conns)-1], 100*time.Millisecond) {
			t.Errorf("%s closes a connection that has just been opened", addr)
		}
	}
	calls()
}

func TestKeyOfAScriptHasItsShareOfConnections(t *testing.T) {
	s := guarding(t)
	fleet := s.client(s.secrets.AccessKey, s.secrets.SecretKey, "")
	session := func(name string) func() *sts.Client {
		out, err := fleet.AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: aws.String("arn:aws:iam::123456789012:role/of-scripts"), RoleSessionName: aws.String(name),
		})
		if err != nil {
			t.Fatal(err)
		}
		c := out.Credentials
		return func() *sts.Client { return s.client(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken) }
	}
	greedy, neighbour := session("greedy"), session("neighbour")
	var err error
	calls := 0
	for ; err == nil && calls < 3*connsOfAKey; calls++ { // some are closed by themselves
		_, err = greedy().GetCallerIdentity(t.Context(), nil)
	}
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "ServiceUnavailable" || calls <= connsOfAKey {
		t.Errorf("connection %d ends with %v", calls, err)
	}
	for name, c := range map[string]*sts.Client{"neighbour": neighbour(), "fleet": fleet} {
		if _, err := c.GetCallerIdentity(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSessionThatTheFleetAloneCanHaveIsTheFleets(t *testing.T) {
	s := guarding(t)
	s.guests.shares = auth.NewShares(0, 0)
	role, _ := s.keys.Role(s.cfg.TenantRole())
	of, _ := s.keys.Role("arn:aws:iam::123456789012:role/of-scripts")
	for want, role := range map[bool]auth.Role{true: role, false: of} {
		session, err := s.keys.Issue(role, "acme", "", time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.client(session.AccessKey, session.Secret, session.Token).GetCallerIdentity(t.Context(), nil)
		if (err == nil) != want {
			t.Errorf("a session of %s: %v", role.ARN, err)
		}
	}
}

// TestPanicAsFunctionsComeUpIsTheirErrorAlone: the other services go on.
func TestPanicAsFunctionsComeUpIsTheirErrorAlone(t *testing.T) {
	core, logged := observer.New(zap.ErrorLevel)
	broken := zap.Hooks(func(e zapcore.Entry) error {
		if e.LoggerName == "lambda" {
			panic("a fault of ours")
		}
		return nil
	})
	info, _ := observer.New(zap.InfoLevel)
	s, err := Start(t.Context(), Config{Log: zap.New(zapcore.NewTee(core, info), broken)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	var p *panics.Error
	if err := s.Ready(t.Context()); !errors.As(err, &p) || logged.FilterMessage("panic").Len() != 1 {
		t.Errorf("functions end with %v; the log has %v", err, logged.All())
	}
	if _, err := s.client(s.secrets.AccessKey, s.secrets.SecretKey, "").GetCallerIdentity(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
