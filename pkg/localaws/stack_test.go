package localaws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// started is a stack that ends with the test.
func started(t testing.TB, cfg localaws.Config) *localaws.Stack {
	t.Helper()
	stack, err := localaws.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := stack.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return stack
}

// config is the SDK's configuration for the stack, with the test's own
// transport, so that no connection outlives the test.
func config(t testing.TB, stack *localaws.Stack) aws.Config {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := stack.AWSConfig()
	cfg.HTTPClient = &http.Client{Transport: transport}
	return cfg
}

func TestStartMakesTheFleetsQueuesAndBucket(t *testing.T) {
	stack := started(t, localaws.Config{Partitions: 2})
	names := map[string]bool{}
	for _, q := range stack.Queues() {
		names[q.Name] = true
	}
	for _, want := range []string{
		"scriptfleet-requests", "scriptfleet-results", "scriptfleet-partition-0", "scriptfleet-partition-1",
		"scriptfleet-partition-side", "scriptfleet-requests-dlq", "scriptfleet-partition-dlq",
	} {
		if !names[want] {
			t.Errorf("queue %s is missing", want)
		}
	}
	objects := s3.NewFromConfig(config(t, stack), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("scriptfleet-123456789012")}); err != nil {
		t.Error(err)
	}
}

func TestMessagesAndObjectsGoRoundThroughTheSDK(t *testing.T) {
	stack := started(t, localaws.Config{Partitions: 1})
	cfg := config(t, stack)
	queues := sqs.NewFromConfig(cfg)
	url, err := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("scriptfleet-requests")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: aws.String("körper"),
		MessageGroupId: aws.String("acme"), MessageAttributes: map[string]types.MessageAttributeValue{
			"n": {DataType: aws.String("Number"), StringValue: aws.String("7")}}}); err != nil {
		t.Fatal(err)
	}
	got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, WaitTimeSeconds: 5,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"All"}})
	if err != nil || len(got.Messages) != 1 {
		t.Fatal(got, err)
	}
	m := got.Messages[0]
	if *m.Body != "körper" || m.Attributes["MessageGroupId"] != "acme" || *m.MessageAttributes["n"].StringValue != "7" {
		t.Errorf("received %+v", m)
	}
	objects := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	key := aws.String("a b/ü+%.json")
	if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(stack.Config().Bucket()), Key: key, Body: strings.NewReader("content")}); err != nil {
		t.Fatal(err)
	}
	object, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(stack.Config().Bucket()), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(object.Body); !bytes.Equal(body, []byte("content")) {
		t.Errorf("the object holds %q", body)
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "arn:aws:iam::123456789012:root" {
		t.Error(who, err)
	}
}

func TestRedisAsksForItsPasswordAndItsClockMoves(t *testing.T) {
	stack := started(t, localaws.Config{Partitions: 1})
	client, stranger := redisClients(t, stack.RedisURL())
	if err := client.Set(t.Context(), "k", "v", 30*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, 10*time.Second, "the key does not run out", func() bool { return client.Exists(t.Context(), "k").Val() == 0 })
	before := client.Time(t.Context()).Val()
	wait.Until(t, 10*time.Second, "TIME stands still", func() bool { return client.Time(t.Context()).Val().After(before) })

	own, ownStranger := redisClients(t, stack.OwnRedisURL())
	client.Set(t.Context(), "k", "of both", 0)
	if got, err := own.Get(t.Context(), "k").Result(); got != "of both" {
		t.Errorf("at its own URL the stack finds %q, %v", got, err)
	}
	for _, stranger := range []*goredis.Client{stranger, ownStranger} {
		if err := stranger.Get(t.Context(), "k").Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
			t.Errorf("without the password Redis says %v", err)
		}
	}
}

// redisClients returns clients with and without the password of a URL.
func redisClients(t *testing.T, url string) (client, stranger *goredis.Client) {
	t.Helper()
	options, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client = goredis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	without := *options
	without.Password = ""
	stranger = goredis.NewClient(&without)
	t.Cleanup(func() { _ = stranger.Close() })
	return client, stranger
}

func TestStartRefusesAddressesThatOthersCanReach(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.com:80", "[::]:0"} {
		_, err := localaws.Start(t.Context(), localaws.Config{AWSAddr: addr})
		if err == nil || !strings.Contains(err.Error(), "--aws-addr") {
			t.Errorf("AWS on %s: %v", addr, err)
		}
		_, err = localaws.Start(t.Context(), localaws.Config{RedisAddr: addr})
		if err == nil || !strings.Contains(err.Error(), "--redis-addr") {
			t.Errorf("Redis on %s: %v", addr, err)
		}
	}
}

func TestAnAddressInUseNamesTheFlagThatChangesIt(t *testing.T) {
	stack := started(t, localaws.Config{Partitions: 1})
	taken := strings.TrimPrefix(stack.Endpoint(), "http://")
	if _, err := localaws.Start(t.Context(), localaws.Config{AWSAddr: taken}); err == nil || !strings.Contains(err.Error(), "--aws-addr") {
		t.Error(err)
	}
	if _, err := localaws.Start(t.Context(), localaws.Config{RedisAddr: taken}); err == nil || !strings.Contains(err.Error(), "--redis-addr") {
		t.Error(err)
	}
}

func TestHealthNamesTheServicesAndNoSecret(t *testing.T) {
	stack := started(t, localaws.Config{Partitions: 1})
	resp, err := http.Get(stack.Endpoint() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	var health struct {
		Status   string
		Services map[string]string
		Sandbox  string
	}
	if err := json.Unmarshal(text, &health); err != nil || health.Status != "ok" || health.Services["sqs"] != "running" || health.Services["lambda"] != "running" || !strings.Contains(health.Sandbox, "sandbox") {
		t.Errorf("%s: %v", text, err)
	}
	for _, line := range stack.Env() {
		if name, value, _ := strings.Cut(line, "="); strings.Contains(name, "SECRET") && bytes.Contains(text, []byte(value)) {
			t.Errorf("health tells %s", name)
		}
	}
}

func TestCloseEndsPollsAtOnce(t *testing.T) {
	stack, err := localaws.Start(t.Context(), localaws.Config{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	queues := sqs.NewFromConfig(config(t, stack))
	polled := make(chan error)
	go func() {
		_, err := queues.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(stack.Endpoint() + "/123456789012/scriptfleet-results"), WaitTimeSeconds: 20})
		polled <- err
	}()
	wait.Until(t, 10*time.Second, "the poll does not wait", func() bool {
		polls := 0
		for _, q := range stack.Queues() {
			polls += q.Polls
		}
		return polls == 1
	})
	begin := time.Now()
	if err := stack.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-polled; err != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("the poll ended with %v after %s", err, time.Since(begin))
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		stack, err := localaws.Start(b.Context(), localaws.Config{})
		if err != nil {
			b.Fatal(err)
		}
		if err := stack.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStartWithADataFolder(b *testing.B) {
	for b.Loop() {
		stack, err := localaws.Start(b.Context(), localaws.Config{DataDir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		if err := stack.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
