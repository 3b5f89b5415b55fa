package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

const echo = "def main(event, context):\n    return event\n"

// wantCode asserts the code of an API error, and parts of its message.
func wantCode(t testing.TB, err error, code string, contains ...string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Errorf("want %s, got %v", code, err)
		return
	}
	if api.ErrorCode() != code {
		t.Errorf("want %s, got %v", code, err)
	}
	for _, c := range contains {
		if !strings.Contains(api.ErrorMessage(), c) {
			t.Errorf("message %q lacks %q", api.ErrorMessage(), c)
		}
	}
}

func TestLifecycleOfAFunction(t *testing.T) {
	b := newBench(t)
	in := b.spec("life", echo)
	in.Timeout, in.MemorySize, in.Description = aws.Int32(7), aws.Int32(256), aws.String("of a test")
	in.Environment = &types.Environment{Variables: map[string]string{"COLOUR": "blue"}}
	made, err := b.client.CreateFunction(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if made.State != types.StatePending || *made.FunctionArn != "arn:aws:lambda:eu-west-1:000000000000:function:life" {
		t.Errorf("%+v", made)
	}
	waiter := lambda.NewFunctionActiveV2Waiter(b.client, func(o *lambda.FunctionActiveV2WaiterOptions) {
		o.MinDelay = time.Millisecond
		o.MaxDelay = 5 * time.Millisecond
	})
	if err := waiter.Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: in.FunctionName}, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	got, err := b.client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: in.FunctionName})
	if err != nil {
		t.Fatal(err)
	}
	if *got.Timeout != 7 || *got.MemorySize != 256 || *got.Description != "of a test" || got.Environment.Variables["COLOUR"] != "blue" || *got.CodeSha256 == "" || got.CodeSize == 0 {
		t.Errorf("%+v", got)
	}
	if _, err := b.client.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: in.FunctionName}); err != nil {
		t.Fatal(err)
	}
	_, err = b.invoke("life", "{}")
	wantCode(t, err, "ResourceNotFoundException", "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:life")
	if zips, _ := filepath.Glob(filepath.Join(b.server.cfg.Dir, "zips", "*")); len(zips) > 0 {
		t.Errorf("left: %v", zips)
	}
}

func TestCreateOfAFunctionThatIsThereConflicts(t *testing.T) {
	b := newBench(t)
	b.create("twice", echo)
	_, err := b.client.CreateFunction(t.Context(), b.spec("twice", echo))
	wantCode(t, err, "ResourceConflictException", "Function already exist: twice")
}

func TestCreateRefusesWhatLambdaRefuses(t *testing.T) {
	b := newBench(t)
	type in = lambda.CreateFunctionInput
	for name, c := range map[string]struct {
		change func(*in)
		code   string
		text   string
	}{
		"timeout":  {func(i *in) { i.Timeout = aws.Int32(901) }, "ValidationException", "900"},
		"memory":   {func(i *in) { i.MemorySize = aws.Int32(64) }, "ValidationException", "128"},
		"name":     {func(i *in) { i.FunctionName = aws.String(strings.Repeat("n", 65)) }, "ValidationException", "functionName"},
		"role":     {func(i *in) { i.Role = aws.String("nobody") }, "ValidationException", "role"},
		"runtime":  {func(i *in) { i.Runtime = "python3.99" }, "InvalidParameterValueException", b.python},
		"zip":      {func(i *in) { i.Code.ZipFile = []byte("no zip") }, "InvalidParameterValueException", "unzip"},
		"zip slip": {func(i *in) { i.Code.ZipFile = zipOf(t, map[string]string{"../x": ""}) }, "InvalidParameterValueException", "leads out"},
		"no code":  {func(i *in) { i.Code = &types.FunctionCode{} }, "InvalidParameterValueException", "source"},
		"six":      {func(i *in) { i.Layers = slices.Repeat([]string{"arn:aws:lambda:eu-west-1:000000000000:layer:x:1"}, 6) }, "InvalidParameterValueException", "5 layers"},
		"layer":    {func(i *in) { i.Layers = []string{"arn:aws:lambda:eu-west-1:000000000000:layer:x:1"} }, "InvalidParameterValueException", "does not exist"},
		"variables": {func(i *in) {
			i.Environment = &types.Environment{Variables: map[string]string{"A": strings.Repeat("x", 4<<10)}}
		}, "InvalidParameterValueException", "4KB"},
		"reserved": {func(i *in) { i.Environment = &types.Environment{Variables: map[string]string{"AWS_REGION": "x"}} }, "InvalidParameterValueException", "AWS_REGION"},
		"s3":       {func(i *in) { i.Code = &types.FunctionCode{S3Bucket: aws.String("b"), S3Key: aws.String("k")} }, "InvalidParameterValueException", "S3"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := b.spec("refused", echo)
			c.change(spec)
			_, err := b.client.CreateFunction(t.Context(), spec)
			wantCode(t, err, c.code, c.text)
		})
	}
}

func TestCodeThatUnpacksTooLargeIsRefused(t *testing.T) {
	b := newBench(t)
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	if _, err := z.CreateRaw(&zip.FileHeader{Name: "big", UncompressedSize64: maxUnzipped + 1}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	in := b.spec("bomb", echo)
	in.Code.ZipFile = buf.Bytes()
	_, err := b.client.CreateFunction(t.Context(), in)
	wantCode(t, err, "InvalidParameterValueException", "262144000")
}

func TestAZipOverFiftyMegabytesHasToGoByS3(t *testing.T) {
	large := make([]byte, maxDirectZip+1)
	b := newBench(t, func(_ *Config, d *Deps) {
		d.FetchS3 = func(context.Context, string, string) ([]byte, error) { return large, nil }
	})
	var refused *apiError
	if _, err := b.server.receive(t.Context(), codeInput{ZipFile: large}); !errors.As(err, &refused) || refused.typ != "RequestTooLargeException" {
		t.Error(err)
	}
	if data, err := b.server.receive(t.Context(), codeInput{S3Bucket: "b", S3Key: "k"}); err != nil || len(data) != len(large) {
		t.Error(err)
	}
}

func TestAZipThatLiesAboutItsSizeIsNotUnpacked(t *testing.T) {
	files, err := newFiles(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(path, zipOf(t, map[string]string{"a": strings.Repeat("0", 4096)}), 0o600); err != nil {
		t.Fatal(err)
	}
	left := int64(1000)
	if err := extract(path, files.unpacked, &left); err == nil {
		t.Error("more was unpacked than was left")
	}
}

func TestAFunctionIsActiveOnceItsCreationIsAnswered(t *testing.T) {
	b := newBench(t)
	for n := range 10 {
		name := fmt.Sprintf("f%d", n)
		if _, err := b.client.CreateFunction(t.Context(), b.spec(name, echo)); err != nil {
			t.Fatal(err)
		}
		out, err := b.client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: &name})
		if err != nil || out.Configuration.State != types.StateActive {
			t.Fatalf("the first look finds %+v %v", out, err)
		}
	}
}

func TestPendingFunctionsRefuseInvokes(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.PendingFor = time.Hour })
	if _, err := b.client.CreateFunction(t.Context(), b.spec("slow", echo)); err != nil {
		t.Fatal(err)
	}
	_, err := b.invoke("slow", "{}")
	wantCode(t, err, "ResourceConflictException", "state: Pending")
}

func TestInactiveFunctionsWakeAndFailedOnesDoNot(t *testing.T) {
	b := newBench(t)
	b.create("idle", echo)
	if err := b.server.setState("idle", "Inactive"); err != nil {
		t.Fatal(err)
	}
	_, err := b.invoke("idle", "{}")
	wantCode(t, err, "ResourceNotReadyException")
	b.await("idle", "Active")
	if out, err := b.invoke("idle", "1"); err != nil || string(out.Payload) != "1" {
		t.Error(out, err)
	}
	if err := b.server.setState("idle", "Failed"); err != nil {
		t.Fatal(err)
	}
	_, err = b.invoke("idle", "{}")
	wantCode(t, err, "ResourceConflictException", "state: Failed")
}

func TestListsComeInPages(t *testing.T) {
	b := newBench(t)
	for n := range 5 {
		b.create(fmt.Sprintf("f%d", n), echo)
		if _, err := b.publish("layer", map[string]string{"python/x.py": fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	functions := lambda.NewListFunctionsPaginator(b.client, &lambda.ListFunctionsInput{MaxItems: aws.Int32(2)})
	for functions.HasMorePages() {
		page, err := functions.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			names = append(names, *f.FunctionName)
		}
	}
	if !slices.Equal(names, []string{"f0", "f1", "f2", "f3", "f4"}) {
		t.Error(names)
	}
	var versions []int64
	layers := lambda.NewListLayerVersionsPaginator(b.client, &lambda.ListLayerVersionsInput{LayerName: aws.String("layer"), MaxItems: aws.Int32(2)})
	for layers.HasMorePages() {
		page, err := layers.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.LayerVersions {
			versions = append(versions, v.Version)
		}
	}
	if !slices.Equal(versions, []int64{5, 4, 3, 2, 1}) {
		t.Error(versions)
	}
	all, err := b.client.ListLayers(t.Context(), &lambda.ListLayersInput{})
	if err != nil || len(all.Layers) != 1 || all.Layers[0].LatestMatchingVersion.Version != 5 {
		t.Error(all, err)
	}
}

func (b *bench) publish(name string, files map[string]string) (*lambda.PublishLayerVersionOutput, error) {
	return b.client.PublishLayerVersion(b.t.Context(), &lambda.PublishLayerVersionInput{
		LayerName: &name, Content: &types.LayerVersionContentInput{ZipFile: zipOf(b.t, files)}, CompatibleRuntimes: []types.Runtime{types.Runtime(b.python)},
	})
}

func TestLayerVersionNumbersAreNeverUsedAgain(t *testing.T) {
	b := newBench(t)
	for want := range int64(2) {
		v, err := b.publish("numbers", map[string]string{"python/x.py": "same"})
		if err != nil || v.Version != want+1 {
			t.Fatal(v, err)
		}
		if _, err := b.client.DeleteLayerVersion(t.Context(), &lambda.DeleteLayerVersionInput{LayerName: aws.String("numbers"), VersionNumber: &v.Version}); err != nil {
			t.Fatal(err)
		}
		_, err = b.client.GetLayerVersion(t.Context(), &lambda.GetLayerVersionInput{LayerName: aws.String("numbers"), VersionNumber: &v.Version})
		wantCode(t, err, "ResourceNotFoundException")
	}
}

func TestLayersAreSharedMergedInOrderAndOutliveTheirDeletion(t *testing.T) {
	b := newBench(t)
	one, err := b.publish("one", map[string]string{"python/first.py": "x = 1", "python/both.py": "x = 1"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.publish("two", map[string]string{"python/second.py": "x = 2", "python/both.py": "x = 2"})
	if err != nil {
		t.Fatal(err)
	}
	code := "import first, second, both\ndef main(e, c):\n    return [first.x, second.x, both.x, first.__file__]\n"
	b.create("layered", code, func(in *lambda.CreateFunctionInput) { in.Layers = []string{*one.LayerVersionArn, *two.LayerVersionArn} })
	if _, err := b.client.DeleteLayerVersion(t.Context(), &lambda.DeleteLayerVersionInput{LayerName: aws.String("one"), VersionNumber: &one.Version}); err != nil {
		t.Fatal(err)
	}
	out, err := b.invoke("layered", "{}")
	if err != nil || string(out.Payload) != `[1, 2, 2, "/opt/python/first.py"]` {
		t.Error(string(out.Payload), err)
	}
	byARN, err := b.client.GetLayerVersionByArn(t.Context(), &lambda.GetLayerVersionByArnInput{Arn: two.LayerVersionArn})
	if err != nil || byARN.Version != 1 {
		t.Error(byARN, err)
	}
}

func TestCodeComesFromS3(t *testing.T) {
	b := newBench(t, func(_ *Config, d *Deps) {
		d.FetchS3 = func(_ context.Context, bucket, key string) ([]byte, error) {
			if bucket != "code" || key != "app.zip" {
				return nil, errors.New("no such key")
			}
			return zipOf(t, map[string]string{"app.py": echo}), nil
		}
	})
	b.create("stored", echo, func(in *lambda.CreateFunctionInput) {
		in.Code = &types.FunctionCode{S3Bucket: aws.String("code"), S3Key: aws.String("app.zip")}
	})
	if out, err := b.invoke("stored", `"x"`); err != nil || string(out.Payload) != `"x"` {
		t.Error(out, err)
	}
}

func TestControlPlaneIsThrottledAndGetFunctionByItself(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.ControlRate, c.GetFunctionRate = 3, 50 })
	var err error
	for n := 0; err == nil && n < 50; n++ {
		_, err = b.client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	}
	var throttled *types.TooManyRequestsException
	if !errors.As(err, &throttled) || throttled.Reason != types.ThrottleReasonCallerRateLimitExceeded {
		t.Errorf("%v", err)
	}
	_, err = b.client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("none")})
	wantCode(t, err, "ResourceNotFoundException")
}

func TestAccountSettingsTellTheLimits(t *testing.T) {
	b := newBench(t)
	b.create("one", echo)
	out, err := b.client.GetAccountSettings(t.Context(), &lambda.GetAccountSettingsInput{})
	if err != nil || out.AccountLimit.ConcurrentExecutions != 1000 || out.AccountUsage.FunctionCount != 1 || out.AccountUsage.TotalCodeSize == 0 {
		t.Errorf("%+v %v", out, err)
	}
}

func TestCodeStorageIsBounded(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.CodeStorage = 10 })
	_, err := b.client.CreateFunction(t.Context(), b.spec("full", echo))
	wantCode(t, err, "CodeStorageExceededException")
}

func TestOnlyWhatTheIdentityAllowsIsDone(t *testing.T) {
	b := newBench(t)
	b.create("t-acme-x", echo)
	b.create("t-other-x", echo)
	policy, err := auth.ParsePolicy(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:*:*:function:t-acme-*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	id := auth.SessionOf("AKID", "arn:aws:sts::000000000000:assumed-role/worker/acme", "id", policy)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.server.ServeHTTP(w, r.WithContext(auth.With(r.Context(), id)))
	}))
	defer front.Close()
	acme := &bench{t: t, server: b.server, client: client(front.URL), python: b.python}
	if _, err := acme.invoke("t-acme-x", "{}"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"t-other-x", "arn:aws:lambda:eu-west-1:000000000000:function:t-other-x", "000000000000:function:t-other-x", "t-other-x:$LATEST"} {
		_, err := acme.invoke(name, "{}")
		wantCode(t, err, "AccessDeniedException", "User: arn:aws:sts::000000000000:assumed-role/worker/acme is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:eu-west-1:000000000000:function:t-other-x because no session policy allows the lambda:InvokeFunction action")
	}
	_, err = acme.client.CreateFunction(t.Context(), b.spec("t-acme-y", echo))
	wantCode(t, err, "AccessDeniedException", "lambda:CreateFunction")
	_, err = acme.client.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("t-acme-x")})
	wantCode(t, err, "AccessDeniedException", "lambda:DeleteFunction")
	_, err = acme.client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	wantCode(t, err, "AccessDeniedException", "lambda:ListFunctions")
}

func TestAFunctionWithTagsNeedsThePermissionToTag(t *testing.T) {
	b := newBench(t)
	policy, err := auth.ParsePolicy(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:CreateFunction","Resource":"*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	id := auth.SessionOf("AKID", "arn:aws:sts::000000000000:assumed-role/worker/w", "id", policy)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.server.ServeHTTP(w, r.WithContext(auth.With(r.Context(), id)))
	}))
	defer front.Close()
	spec := b.spec("plain", echo)
	if _, err := client(front.URL).CreateFunction(t.Context(), spec); err != nil {
		t.Error(err)
	}
	spec = b.spec("tagged", echo)
	spec.Tags = map[string]string{"team": "red"}
	_, err = client(front.URL).CreateFunction(t.Context(), spec)
	wantCode(t, err, "AccessDeniedException", "lambda:TagResource")
}

func TestCodeIsKeptForACreateThatMeetsTheDeletionOfTheSame(t *testing.T) {
	b := newBench(t)
	b.create("old", echo)
	data := zipOf(t, map[string]string{"app.py": echo}) // a concurrent create of the same contents has got this far
	code, unpin, err := b.server.keep(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("old")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(b.server.files.zip(code)); err != nil {
		t.Error(err)
	}
	unpin()
	if _, err := os.Stat(b.server.files.zip(code)); err == nil {
		t.Error("it is kept for nobody")
	}
}

func TestUnpackedLayersAreSharedThroughTheCache(t *testing.T) {
	cache := t.TempDir()
	var inode string
	for range 2 {
		b := newBench(t, func(c *Config, _ *Deps) { c.CacheDir = cache })
		layer, err := b.publish("shared", map[string]string{"python/shared.py": "x = 1"})
		if err != nil {
			t.Fatal(err)
		}
		b.create("user", "import os\ndef main(e, c):\n    return os.stat('/opt/python/shared.py').st_ino\n", func(in *lambda.CreateFunctionInput) { in.Layers = []string{*layer.LayerVersionArn} })
		out, err := b.invoke("user", "{}")
		if err != nil {
			t.Fatal(err)
		}
		if inode != "" && inode != string(out.Payload) {
			t.Error("it was unpacked again")
		}
		inode = string(out.Payload)
	}
}
