package localaws_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
)

const (
	tenantRole = "arn:aws:iam::123456789012:role/scriptfleet-tenant"
	scriptRole = "arn:aws:iam::123456789012:role/scriptfleet-script"
)

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

// assumed is the configuration of a session.
func assumed(t *testing.T, cfg aws.Config, in *sts.AssumeRoleInput) aws.Config {
	t.Helper()
	out, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	if left := time.Until(*c.Expiration); left <= 0 || left > time.Hour {
		t.Errorf("the session lasts %s", left)
	}
	cfg.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	return cfg
}

func tenant(name string) *sts.AssumeRoleInput {
	return &sts.AssumeRoleInput{RoleArn: aws.String(tenantRole), RoleSessionName: aws.String(name), Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:eu-central-2:123456789012:function:sf-` + name + `-*"}]}`)}
}

// script makes a function of one Python file.
func script(t *testing.T, client *lambda.Client, name, source string) {
	t.Helper()
	pythons, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	newest, _ := pythons.Newest()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	file, err := w.Create("script.py")
	if err == nil {
		_, err = file.Write([]byte(source))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: lambdatypes.Runtime("python" + newest.Minor), Handler: aws.String("script.main"),
		Role: aws.String(scriptRole), Timeout: aws.Int32(20), Code: &lambdatypes.FunctionCode{ZipFile: archive.Bytes()},
	}); err != nil {
		t.Fatal(err)
	}
	if err := lambda.NewFunctionActiveV2Waiter(client).Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: &name}, 20*time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestATenantsSessionInvokesItsOwnFunctionsAndNothingElse(t *testing.T) {
	stack := started(t, localaws.Config{Partitions: 1, CacheDir: t.TempDir()})
	root := config(t, stack)
	functions := lambda.NewFromConfig(root)
	script(t, functions, "sf-acme-hello", "def main(event, context):\n    return {'hello': event['name']}\n")
	script(t, functions, "sf-other-hello", "def main(event, context):\n    return 'secret'\n")

	acme := assumed(t, root, tenant("acme"))
	out, err := lambda.NewFromConfig(acme).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("sf-acme-hello"), Payload: []byte(`{"name":"you"}`)})
	if err != nil || out.FunctionError != nil || string(out.Payload) != `{"hello": "you"}` && string(out.Payload) != `{"hello":"you"}` {
		t.Fatal(out, err)
	}
	objects := s3.NewFromConfig(acme, func(o *s3.Options) { o.UsePathStyle = true })
	queue := aws.String(stack.Endpoint() + "/123456789012/scriptfleet-requests")
	ctx := t.Context()
	for what, try := range map[string]func() error{
		"another tenant's function": func() error {
			_, err := lambda.NewFromConfig(acme).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("sf-other-hello")})
			return err
		},
		"a list of functions": func() error {
			_, err := lambda.NewFromConfig(acme).ListFunctions(ctx, &lambda.ListFunctionsInput{})
			return err
		},
		"its own function's deletion": func() error {
			_, err := lambda.NewFromConfig(acme).DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: aws.String("sf-acme-hello")})
			return err
		},
		"a queue": func() error {
			_, err := sqs.NewFromConfig(acme).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue})
			return err
		},
		"an object": func() error {
			_, err := objects.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("scriptfleet-123456789012"), Key: aws.String("k")})
			return err
		},
		"a new bucket": func() error {
			_, err := objects.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("mine"), Key: aws.String("k"), Body: strings.NewReader("b")})
			return err
		},
		"a list of buckets": func() error {
			_, err := objects.ListBuckets(ctx, &s3.ListBucketsInput{})
			return err
		},
		"another tenant's session": func() error {
			_, err := sts.NewFromConfig(acme).AssumeRole(ctx, tenant("other"))
			return err
		},
	} {
		if got := code(try()); got != "AccessDenied" && got != "AccessDeniedException" {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestAScriptCannotUseTheStack(t *testing.T) {
	stack := started(t, localaws.Config{Partitions: 1, CacheDir: t.TempDir()})
	functions := lambda.NewFromConfig(config(t, stack))
	script(t, functions, "sf-acme-thief", `
import os, socket, urllib.request, urllib.error
def ask(url, headers={}, data=None):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=5).status
    except urllib.error.HTTPError as e:
        return e.code
def redis(host, port):
    with socket.create_connection((host, int(port)), timeout=5) as s:
        s.sendall(b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n")
        return s.recv(100).decode()
def main(event, context):
    aws = event["aws"]
    return {
        "sqs": ask(aws, {"X-Amz-Target": "AmazonSQS.ListQueues"}, b"{}"),
        "sts": ask(aws, {}, b"Action=GetCallerIdentity&Version=2011-06-15"),
        "lambda": ask(aws + "/2015-03-31/functions/"),
        "s3": ask(aws + "/scriptfleet-123456789012"),
        "redis": redis(*event["redis"].split(":")),
        "environment": [name for name in os.environ if "SECRET" in name or "REDIS" in name],
    }
`)
	at := stack.RedisURL()[strings.LastIndexByte(stack.RedisURL(), '@')+1:]
	payload := fmt.Sprintf(`{"aws":%q,"redis":%q}`, stack.Endpoint(), strings.TrimSuffix(at, "/0"))
	out, err := functions.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("sf-acme-thief"), Payload: []byte(payload)})
	if err != nil || out.FunctionError != nil {
		t.Fatalf("%v %s", err, out.Payload)
	}
	var got struct {
		SQS, STS, Lambda, S3 int
		Redis                string
		Environment          []string
	}
	if err := json.Unmarshal(out.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.SQS != 403 || got.STS != 403 || got.Lambda != 403 || got.S3 != 403 || !strings.Contains(got.Redis, "NOAUTH") || len(got.Environment) > 0 {
		t.Errorf("the script got %s", out.Payload)
	}
}

func TestRolesAreAssumedOnlyByWhoTheyTrust(t *testing.T) {
	const role = "arn:aws:iam::210987654321:role/customer"
	stack := started(t, localaws.Config{Partitions: 1, Roles: []localaws.Role{{ARN: role, ExternalIDs: []string{"tenant-acme-1", "tenant-acme-2"},
		Policy: `{"Statement":{"Effect":"Allow","Action":["s3:*","sts:AssumeRole"],"Resource":"*"}}`}}})
	root := config(t, stack)
	client := sts.NewFromConfig(root)
	with := func(change func(*sts.AssumeRoleInput)) error {
		in := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("run"), ExternalId: aws.String("tenant-acme-1")}
		change(in)
		_, err := client.AssumeRole(t.Context(), in)
		return err
	}
	for _, c := range []struct {
		what   string
		change func(*sts.AssumeRoleInput)
		want   string
	}{
		{"another external ID", func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("tenant-other") }, "AccessDenied"},
		{"no external ID", func(in *sts.AssumeRoleInput) { in.ExternalId = nil }, "AccessDenied"},
		{"an unknown role", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String(role + "s") }, "AccessDenied"},
		{"the scripts' role", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String(scriptRole) }, "AccessDenied"},
		{"no ARN", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("customer-of-ours-at-length") }, "ValidationError"},
		{"too short a session", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(899) }, "ValidationError"},
		{"too long a policy", func(in *sts.AssumeRoleInput) { in.Policy = aws.String(strings.Repeat(" ", 2049)) }, "PackedPolicyTooLarge"},
		{"no policy", func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{}") }, "MalformedPolicyDocument"},
	} {
		if got := code(with(c.change)); got != c.want {
			t.Errorf("%s: %s, not %s", c.what, got, c.want)
		}
	}
	session := assumed(t, root, &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("run"), ExternalId: aws.String("tenant-acme-1")})
	who, err := sts.NewFromConfig(session).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "arn:aws:sts::210987654321:assumed-role/customer/run" || *who.Account != "210987654321" {
		t.Error(who, err)
	}
	_, err = sts.NewFromConfig(session).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("again"),
		ExternalId: aws.String("tenant-acme-1"), DurationSeconds: aws.Int32(3601)})
	if code(err) != "ValidationError" {
		t.Error("a chained session of more than an hour:", err)
	}
	if _, err := sts.NewFromConfig(session).AssumeRole(t.Context(), tenant("acme")); code(err) != "AccessDenied" {
		t.Error("the tenants' role, by who is not root:", err)
	}
}

func TestADataFolderKeepsQueuesObjectsAndCredentials(t *testing.T) {
	dir := t.TempDir()
	var env []string
	t.Run("before", func(t *testing.T) {
		stack := started(t, localaws.Config{Partitions: 1, DataDir: dir})
		cfg := config(t, stack)
		env = stack.Env()
		if _, err := sqs.NewFromConfig(cfg).SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: aws.String(stack.Endpoint() + "/123456789012/scriptfleet-requests"), MessageBody: aws.String("b")}); err != nil {
			t.Fatal(err)
		}
		objects := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
		if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(stack.Config().Bucket()), Key: aws.String("k"), Body: strings.NewReader("content")}); err != nil {
			t.Fatal(err)
		}
		_, err := localaws.Start(t.Context(), localaws.Config{DataDir: dir})
		if err == nil || !strings.Contains(err.Error(), "another process has it open") {
			t.Error("a second stack on the same folder:", err)
		}
	})
	stack := started(t, localaws.Config{Partitions: 1, DataDir: dir})
	for i, line := range stack.Env() {
		if strings.HasPrefix(line, "AWS_SECRET") && line != env[i] {
			t.Error("the secret is another one")
		}
	}
	for _, q := range stack.Queues() {
		if q.Name == "scriptfleet-requests" && q.Visible != 1 {
			t.Errorf("%+v", q)
		}
	}
	objects := s3.NewFromConfig(config(t, stack), func(o *s3.Options) { o.UsePathStyle = true })
	object, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(stack.Config().Bucket()), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(object.Body); string(body) != "content" {
		t.Errorf("%s", body)
	}
}

func TestPresignedLinksReachOneObject(t *testing.T) {
	stack := started(t, localaws.Config{Partitions: 1})
	objects := s3.NewFromConfig(config(t, stack), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(stack.Config().Bucket()), Key: aws.String("a b+ü"), Body: strings.NewReader("content")}); err != nil {
		t.Fatal(err)
	}
	link, err := s3.NewPresignClient(objects).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(stack.Config().Bucket()), Key: aws.String("a b+ü")})
	if err != nil {
		t.Fatal(err)
	}
	get := func(url string) (int, string) {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if status, body := get(link.URL); status != 200 || body != "content" {
		t.Error(status, body)
	}
	if status, _ := get(strings.Replace(link.URL, "a%20b", "other", 1)); status != 403 {
		t.Error("a link to another object:", status)
	}
}
