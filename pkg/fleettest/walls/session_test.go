package walls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/credential/awssts"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// session is the session with which the worker invokes the tenant's functions.
func session(t *testing.T, tenant string) (aws.Config, credential.AWS) {
	t.Helper()
	sessions, err := credential.NewSessions(credential.SessionsConfig{
		RoleARN: fleet.set["SCRIPTFLEET_TENANT_ROLE_ARN"], Region: fleet.set["AWS_REGION"], Account: "123456789012", Prefix: "scriptfleet",
	}, credential.SessionsDeps{STS: awssts.New(sts.NewFromConfig(root()))})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sessions.Session(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return withKey(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken), keys
}

// functions are one function of each tenant, built by a run of it.
func functions(t *testing.T) (ofA, ofB string) {
	t.Helper()
	var got string
	ofA = functionOf(try(t, tenantA, `attempt = lambda input: "a"`, nil, &got))
	ofB = functionOf(try(t, tenantB, `attempt = lambda input: "b"`, nil, &got))
	return ofA, ofB
}

// call is one attempt with a session.
type call struct {
	what string
	do   func() error
}

// refused checks that each call is answered by one of the codes for a missing
// permission.
func refused(t *testing.T, calls []call, codes ...string) {
	t.Helper()
	for _, c := range calls {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			err := c.do()
			var api smithy.APIError
			if !errors.As(err, &api) || !strings.Contains(strings.Join(codes, " "), api.ErrorCode()) {
				t.Errorf("%s: %v, not one of %v", c.what, err, codes)
			}
		})
	}
}

func invoke(cfg aws.Config, name string, payload []byte) error {
	out, err := lambda.NewFromConfig(cfg).Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name, Payload: payload})
	if err == nil && out.FunctionError != nil {
		return fmt.Errorf("function error: %s", out.Payload)
	}
	return err
}

var payload = []byte(`{"input":{"code":"attempt = lambda input: 1"}}`)

func TestASessionInvokesNoFunctionOfAnother(t *testing.T) {
	ofA, ofB := functions(t)
	asA, _ := session(t, tenantA)
	asB, _ := session(t, tenantB)
	for name, cfg := range map[string]aws.Config{ofA: asA, ofB: asB} {
		if err := invoke(cfg, name, payload); err != nil {
			t.Fatalf("the rightful call to %s: %v", name, err)
		}
	}
	hashA, hashB := strings.TrimPrefix(ofA, run.TenantPrefix("scriptfleet", tenantA)), strings.TrimPrefix(ofB, run.TenantPrefix("scriptfleet", tenantB))
	arn := "arn:aws:lambda:" + fleet.set["AWS_REGION"] + ":123456789012:function:"
	prefixA := run.TenantPrefix("scriptfleet", tenantA)
	try := func(name string) func() error { return func() error { return invoke(asA, name, payload) } }
	refused(t, []call{
		{"by name", try(ofB)},
		{"by ARN", try(arn + ofB)},
		{"by partial ARN", try("123456789012:function:" + ofB)},
		{"by ARN and version", try(arn + ofB + ":$LATEST")},
		{"by another tenant's prefix", try(run.TenantPrefix("scriptfleet", tenantB) + hashA)},
		{"by a dry run", func() error {
			_, err := lambda.NewFromConfig(asA).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &ofB, InvocationType: "DryRun"})
			return err
		}},
		{"as an event", func() error {
			_, err := lambda.NewFromConfig(asA).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &ofB, InvocationType: "Event"})
			return err
		}},
	}, "AccessDeniedException")
	refused(t, []call{
		{"by wildcard", try("scriptfleet-*")},
		{"by one's own prefix and a wildcard", try(prefixA + "*")},
		{"by question marks", try(strings.Repeat("?", len(ofB)))},
		{"by a path out of one's own prefix", try(prefixA + "/../" + ofB)},
		{"by an escaped path", try(prefixA + "%2F..%2F" + ofB)},
		{"by two names", try(ofA + "," + ofB)},
		{"by the other's hash below one's own prefix", try(prefixA + hashB)},
		{"by a qualifier", try(ofA + ":" + ofB)},
	}, "AccessDeniedException", "ValidationException", "ResourceNotFoundException", "UnknownOperationException")
}

func TestASessionDoesNothingToFunctionsAndLayersButInvoke(t *testing.T) {
	ofA, ofB := functions(t)
	asA, _ := session(t, tenantA)
	client, ctx := lambda.NewFromConfig(asA), t.Context()
	if _, err := lambda.NewFromConfig(root()).GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &ofB}); err != nil {
		t.Fatalf("the rightful call: %v", err)
	}
	zip := packed(map[string]string{"script.py": "def main(input): return 'replaced'\n"})
	refused(t, []call{
		{"get the other's", func() error {
			_, err := client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &ofB})
			return err
		}},
		{"get one's own", func() error {
			_, err := client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &ofA})
			return err
		}},
		{"get the other's configuration", func() error {
			_, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &ofB})
			return err
		}},
		{"list functions", func() error {
			_, err := client.ListFunctions(ctx, &lambda.ListFunctionsInput{})
			return err
		}},
		{"delete the other's", func() error {
			_, err := client.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &ofB})
			return err
		}},
		{"shut the other's off", func() error {
			_, err := client.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: &ofB, ReservedConcurrentExecutions: aws.Int32(0)})
			return err
		}},
		{"create one under the other's prefix", func() error {
			_, err := client.CreateFunction(ctx, &lambda.CreateFunctionInput{
				FunctionName: aws.String(run.TenantPrefix("scriptfleet", tenantB) + strings.Repeat("a", 26)), Role: aws.String(fleet.set["SCRIPTFLEET_ROLE_ARN"]),
				Runtime: "python3.11", Handler: aws.String("script.main"), Code: codeOf(zip),
			})
			return err
		}},
		{"publish a layer", func() error {
			_, err := client.PublishLayerVersion(ctx, &lambda.PublishLayerVersionInput{LayerName: aws.String("scriptfleet-layer-x"), Content: contentOf(zip)})
			return err
		}},
		{"list layers", func() error {
			_, err := client.ListLayers(ctx, &lambda.ListLayersInput{})
			return err
		}},
	}, "AccessDeniedException")
}

func TestASessionReachesNoQueueAndNoObject(t *testing.T) {
	asA, _ := session(t, tenantA)
	calls := append(onQueues(t, asA, fleet.set["AWS_ENDPOINT_URL"]+"/123456789012/scriptfleet-"), onBucket(t, asA, fleet.set["SCRIPTFLEET_BUCKET"])...)
	queues := sqs.NewFromConfig(asA)
	calls = append(calls, call{"list queues", func() error { _, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{}); return err }})
	refused(t, calls, "AccessDenied", "AccessDeniedException")
}

// onQueues are calls on the queues whose URLs begin with prefix.
func onQueues(t *testing.T, cfg aws.Config, prefix string) []call {
	ctx, queues := t.Context(), sqs.NewFromConfig(cfg)
	url := func(name string) *string { return aws.String(prefix + name) }
	return []call{
		{"receive results", func() error {
			_, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url("results")})
			return err
		}},
		{"receive runs", func() error {
			_, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url("partition-0")})
			return err
		}},
		{"send a request", func() error {
			_, err := queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url("requests"), MessageBody: aws.String("{}")})
			return err
		}},
		{"send a result", func() error {
			_, err := queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url("results"), MessageBody: aws.String("{}"), MessageGroupId: aws.String(tenantB)})
			return err
		}},
		{"purge the requests", func() error {
			_, err := queues.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: url("requests")})
			return err
		}},
		{"delete a queue", func() error {
			_, err := queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: url("results")})
			return err
		}},
		{"read dead letters", func() error {
			_, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url("partition-dlq")})
			return err
		}},
	}
}

// onBucket are calls on a bucket, in which an object is put first.
func onBucket(t *testing.T, cfg aws.Config, bucket string) []call {
	ctx, objects, key := t.Context(), objectsOf(cfg), "scriptfleet/results/of-b"
	if err := fleettest.Bucket(root(), bucket).Put(ctx, key, []byte("b's")); err != nil {
		t.Fatalf("the rightful call: %v", err)
	}
	return []call{
		{"get an object", func() error {
			_, err := objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
			return err
		}},
		{"put an object", func() error {
			_, err := objects.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("a's")})
			return err
		}},
		{"copy an object", func() error {
			_, err := objects.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: aws.String("x"), CopySource: aws.String(bucket + "/" + key)})
			return err
		}},
		{"delete an object", func() error {
			_, err := objects.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
			return err
		}},
		{"list objects", func() error {
			_, err := objects.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
			return err
		}},
	}
}

func TestASessionIsNotWidened(t *testing.T) {
	_, ofB := functions(t)
	asA, keysA := session(t, tenantA)
	_, keysB := session(t, tenantB)
	role := fleet.set["SCRIPTFLEET_TENANT_ROLE_ARN"]
	wide := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	assume := func(cfg aws.Config, arn, externalID, policy string) func() error {
		return func() error {
			in := &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("wider")}
			if policy != "" {
				in.Policy = &policy
			}
			if externalID != "" {
				in.ExternalId = &externalID
			}
			_, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), in)
			return err
		}
	}
	if err := assume(root(), roleB, "bbbbbbbbbbbbbbbbbbbb", "")(); err != nil {
		t.Fatalf("the rightful call: %v", err)
	}
	refused(t, []call{
		{"assume the tenants' role again, with another policy", assume(asA, role, "", wide)},
		{"assume it without any policy", assume(asA, role, "", "")},
		{"assume the role of scripts", assume(asA, fleet.set["SCRIPTFLEET_ROLE_ARN"], "", wide)},
		{"assume the role of the other's credential", assume(asA, roleB, "bbbbbbbbbbbbbbbbbbbb", "")},
		{"assume the role of one's own credential, past the fleet", assume(asA, roleA, "aaaaaaaaaaaaaaaaaaaa", "")},
	}, "AccessDenied")

	// Tokens of others, and invalid ones. Each is tried on the other tenant's
	// function, where it would gain something.
	otherwise := func(id, secret, token string) func() error {
		return func() error { return invoke(withKey(id, secret, token), ofB, payload) }
	}
	flipped := []byte(keysB.SessionToken)
	flipped[len(flipped)/2] ^= 1
	refused(t, []call{
		{"the other's token under one's own key", otherwise(keysA.AccessKeyID, keysA.SecretAccessKey, keysB.SessionToken)},
		{"the other's key and token with one's own secret", otherwise(keysB.AccessKeyID, keysA.SecretAccessKey, keysB.SessionToken)},
		{"an altered token", otherwise(keysB.AccessKeyID, keysB.SecretAccessKey, string(flipped))},
		{"a token with something behind it", otherwise(keysA.AccessKeyID, keysA.SecretAccessKey, keysA.SessionToken+"AAAA")},
		{"a key without its token", otherwise(keysA.AccessKeyID, keysA.SecretAccessKey, "")},
		{"the account's key with one's own secret", otherwise(fleet.set["AWS_ACCESS_KEY_ID"], keysA.SecretAccessKey, "")},
		{"the account's key with one's own token", otherwise(fleet.set["AWS_ACCESS_KEY_ID"], keysA.SecretAccessKey, keysA.SessionToken)},
	}, "UnrecognizedClientException", "InvalidSignatureException")
}

func TestASessionOfAnOddNameReachesNobody(t *testing.T) {
	_, ofB := functions(t)
	for _, name := range []string{"*", "acme*", "a?me", "acme\",\"x", "acme/../acme", "ACME", "acme "} {
		cfg, _ := session(t, name)
		refused(t, []call{{fmt.Sprintf("as %q", name), func() error { return invoke(cfg, ofB, payload) }}}, "AccessDeniedException")
	}
}

// A signature is for one request: a changed request is refused.
func TestASignedCallCannotBeTurnedIntoAnother(t *testing.T) {
	ofA, ofB := functions(t)
	_, keys := session(t, tenantA)
	send := func(change func(*http.Request)) int {
		r, err := http.NewRequest(http.MethodPost, fleet.set["AWS_ENDPOINT_URL"]+"/2015-03-31/functions/"+ofA+"/invocations", strings.NewReader(string(payload)))
		if err != nil {
			t.Fatal(err)
		}
		creds := aws.Credentials{AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.SessionToken}
		if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, sha256Of(payload), "lambda", fleet.set["AWS_REGION"], time.Now()); err != nil {
			t.Fatal(err)
		}
		change(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if code := send(func(*http.Request) {}); code != http.StatusOK {
		t.Fatalf("the rightful call: %d", code)
	}
	for what, change := range map[string]func(*http.Request){
		"another function": func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, ofA, ofB, 1) },
		"another method":   func(r *http.Request) { r.Method = http.MethodDelete },
		"another service":  func(r *http.Request) { replaceHeader(r, "Authorization", "/lambda/", "/sqs/") },
		"another key": func(r *http.Request) {
			replaceHeader(r, "Authorization", keys.AccessKeyID, fleet.set["AWS_ACCESS_KEY_ID"])
		},
		"another token": func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", keys.SessionToken[1:]) },
		"no token":      func(r *http.Request) { r.Header.Del("X-Amz-Security-Token") },
		"another query": func(r *http.Request) { r.URL.RawQuery = "Qualifier=1" },
		"an hour later": func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().Add(time.Hour).UTC().Format("20060102T150405Z"))
		},
		"no signature":  func(r *http.Request) { r.Header.Del("Authorization") },
		"the empty one": func(r *http.Request) { replaceHeader(r, "Authorization", "Signature=", "Signature=,x=") },
	} {
		if code := send(change); code != http.StatusForbidden {
			t.Errorf("%s: answered with %d", what, code)
		}
	}
}

// AWS's shortest session is 15 minutes, so an expired one is tried on the
// stack's signature check directly.
func TestASessionThatIsOverOpensNothing(t *testing.T) {
	keys, err := auth.NewKeys("123456789012", "AKIAROOT", "secret")
	if err != nil {
		t.Fatal(err)
	}
	role := auth.Role{ARN: fleet.set["SCRIPTFLEET_TENANT_ROLE_ARN"], Policy: auth.AllowAll()}
	keys.AddRole(role)
	door := httptest.NewServer(auth.NewVerifier(keys, nil, nil).Verify(http.NotFoundHandler()))
	defer door.Close()
	for left, want := range map[time.Duration]string{time.Minute: "NotFound", -time.Second: "ExpiredTokenException"} {
		s, err := keys.Issue(role, "acme", "", time.Now().Add(left))
		if err != nil {
			t.Fatal(err)
		}
		cfg := withKey(s.AccessKey, s.Secret, s.Token)
		cfg.BaseEndpoint = &door.URL
		var api smithy.APIError
		err = invoke(cfg, "x", nil)
		if expired := errors.As(err, &api) && api.ErrorCode() == "ExpiredTokenException"; expired != (want == "ExpiredTokenException") {
			t.Errorf("with %s left: %v", left, err)
		}
	}
}

func replaceHeader(r *http.Request, name, old, with string) {
	r.Header.Set(name, strings.Replace(r.Header.Get(name), old, with, 1))
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // cannot fail: the tests' own values
	}
	return string(text)
}
