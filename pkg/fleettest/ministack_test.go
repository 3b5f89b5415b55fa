package fleettest

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/credential/awssts"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// All of AWS is an independent implementation: SQS, Lambda, STS with IAM, and
// S3. Its Lambda answers over the function's own stdout, so a handler that kept
// descriptors 1 and 2 would hang every invocation.
//
// ministack differs from AWS, so that this test cannot show
//   - what the fleet's own keys may do: it lets them do everything;
//   - states: a function is Active as soon as it is made;
//   - a runtime's own Python, memory limit and sandbox: a function is a plain
//     process of the Python that ministack itself runs on.
func TestTheFleetRunsOnAnAWSThatOthersWrote(t *testing.T) {
	t.Parallel()
	f := startMinistack(t)
	f.dispatcher("--create-queues")
	f.worker("--create-queues")
	f.withMailbox()

	const hello = "def main(input):\n    print('hi', input['n'])\n    return {'n': input['n'], 'text': '𝄞 <&>'}\n"
	f.send(request("cold-acme", Data{Script: hello, Input: map[string]int{"n": 1}}),
		Request("globex", "cold-globex", Data{Script: hello, Input: map[string]int{"n": 2}}),
		Request("globex", "requires", Data{Script: "import idna\ndef main(input):\n    return idna.encode('bücher.example').decode()\n", Requirements: "idna==3.10\n"}),
		request("fails", Data{Script: "def main(input):\n    return input['url']\n"}),
		request("exits", Data{Script: "import os\ndef main(input):\n    print('last', flush=True)\n    os.system('echo of a child')\n    return 1/0\n"}),
		request("assumes", Data{Script: "def main(input):\n    return sorted(input['AwsCredentials'])\n", Credential: "prod"}),
		request("large", Data{Script: "def main(input):\n    return 'x' * 2000000\n"}))

	for tenant, n := range map[string]int{"acme": 1, "globex": 2} {
		res := f.Await(t, "cold-"+tenant)
		if want := fmt.Sprintf(`{"n": %d, "text": "𝄞 <&>"}`, n); string(res.Data.Output) != want || res.Data.Build.Outcome != run.BuildBuilt {
			t.Errorf("%s: the result is not %s of a new build: %s", tenant, want, res.Body)
		}
		if want := fmt.Sprintf("hi %d\n", n); res.Data.Logs.Stdout != want || res.Data.Attempt != 1 {
			t.Errorf("%s: it printed %q in attempt %d, want %q in one", tenant, res.Data.Logs.Stdout, res.Data.Attempt, want)
		}
	}
	if res := f.Await(t, "requires"); string(res.Data.Output) != `"xn--bcher-kva.example"` {
		t.Errorf("with a requirement: %s", res.Body)
	}
	res := f.Await(t, "fails")
	checkError(t, res, run.Failed, run.OwnerAuthor, "KeyError")
	if !strings.Contains(res.Data.Error.Message, "line 2") {
		t.Errorf("the error tells no line: %s", res.Data.Error.Message)
	}
	res = f.Await(t, "exits")
	checkError(t, res, run.Failed, run.OwnerAuthor, "ZeroDivisionError")
	if res.Data.Logs.Stdout != "last\nof a child\n" {
		t.Errorf("it printed %q", res.Data.Logs.Stdout)
	}
	if res := f.Await(t, "large"); len(res.Data.Output) != 2_000_002 {
		t.Errorf("the large run is %s with an output of %d bytes", res.Data.Status, len(res.Data.Output))
	}

	if res := f.Await(t, "assumes"); string(res.Data.Output) != `["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Success"]` {
		t.Errorf("with a credential: %s", res.Body)
	}

	f.send(request("warm", Data{Script: hello, Input: map[string]int{"n": 3}}))
	if res := f.Await(t, "warm"); res.Data.Build.Outcome != run.BuildReused || res.Data.Logs.Stdout != "hi 3\n" || string(res.Data.Output) != `{"n": 3, "text": "𝄞 <&>"}` {
		t.Errorf("the second run of a script: %s", res.Body)
	}
	f.checkOnce(t, 8)
	checkSessionsWall(t, f)
}

// checkSessionsWall uses the session of one tenant's invocations on another
// tenant's functions.
func checkSessionsWall(t *testing.T, f *fleet) {
	t.Helper()
	sessions, err := credential.NewSessions(credential.SessionsConfig{
		RoleARN: f.set["SCRIPTFLEET_TENANT_ROLE_ARN"], Region: f.set["AWS_REGION"], Account: "000000000000", Prefix: "scriptfleet",
	}, credential.SessionsDeps{STS: awssts.New(sts.NewFromConfig(f.set.Config()))})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sessions.Session(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	client := lambda.NewFromConfig(f.set.ConfigWith(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken))
	for _, name := range f.functions() {
		_, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{}`)})
		var refused smithy.APIError
		denied := errors.As(err, &refused) && strings.HasPrefix(refused.ErrorCode(), "AccessDenied")
		if own := strings.HasPrefix(name, run.TenantPrefix("scriptfleet", "acme")); denied == own || own && err != nil {
			t.Errorf("acme's session invokes %s: %v", name, err)
		}
	}
}

// The test's roles, in the fleet's account and in a tenant's.
const (
	trustsFleet  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"sts:AssumeRole"}]}`
	trustsTenant = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"aaaaaaaaaaaaaaaaaaaa"}}}]}`
	trustsLambda = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	mayInvoke    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"*"}]}`
	tenantsFile  = `{"tenants": {"acme": {"external_id": "aaaaaaaaaaaaaaaaaaaa", "credentials": {"prod": {"role_arn": "arn:aws:iam::111111111111:role/prod"}}}}}`
)

// startMinistack starts ministack, with roles and a bucket, and a Redis.
func startMinistack(t *testing.T) *fleet {
	t.Helper()
	ministack, err := filepath.EvalSymlinks(tool(t, "ministack"))
	if err != nil {
		t.Fatal(err)
	}
	python, err := exec.Command(filepath.Join(filepath.Dir(ministack), "python"), "-c", "import sys; print('python%d.%d' % sys.version_info[:2], end='')").Output()
	if err != nil {
		t.Fatal(err)
	}
	p := process.Start(t, program.Environment(ofTheTests("BIND_HOST=127.0.0.1", "GATEWAY_PORT=0", "AUTH=true", "TMPDIR="+t.TempDir())...), ministack)
	var url string
	eventually(t, "ministack does not come up", func() bool {
		if p.Gone() {
			t.Fatal("ministack has ended")
		}
		url = ministackURL.FindString(p.Said())
		return url != ""
	})
	f := &fleet{t: t, local: p, set: Settings{
		"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"REDIS_URL": redistest.Start(t).URL, "SCRIPTFLEET_BUCKET": "scriptfleet", "SCRIPTFLEET_PARTITIONS": "2",
		"SCRIPTFLEET_ROLE_ARN": "arn:aws:iam::000000000000:role/script", "SCRIPTFLEET_TENANT_ROLE_ARN": "arn:aws:iam::000000000000:role/tenant",
		"SCRIPTFLEET_DEFAULT_RUNTIME": string(python), "SCRIPTFLEET_TENANTS": files.Write(t, "tenants.json", tenantsFile),
	}}
	aws := func(account string, args ...string) {
		t.Helper()
		output(t, f.env("AWS_PAGER=", "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+account), tool(t, "aws"), args...)
	}
	aws("test", "s3api", "create-bucket", "--bucket", "scriptfleet")
	aws("test", "iam", "create-role", "--role-name", "script", "--assume-role-policy-document", trustsLambda)
	aws("test", "iam", "create-role", "--role-name", "tenant", "--assume-role-policy-document", trustsFleet)
	aws("test", "iam", "put-role-policy", "--role-name", "tenant", "--policy-name", "invoke", "--policy-document", mayInvoke)
	aws("111111111111", "iam", "create-role", "--role-name", "prod", "--assume-role-policy-document", trustsTenant)
	return f
}

var ministackURL = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)
