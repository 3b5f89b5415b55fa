package walls

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/credential/awssts"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// given is what a script finds of its credential.
type given struct {
	Success                                    bool
	AccessKeyID, SecretAccessKey, SessionToken string
	Expiration, Error                          string
}

const tell = "def main(input):\n    return input.get('AwsCredentials')\n"

func withCredential(t *testing.T, tenant, name string) (given, fleettest.Arrival) {
	t.Helper()
	res := runAs(t, tenant, fleettest.Data{Script: tell, Credential: name})
	if res.Data.Status != run.Succeeded {
		t.Fatalf("credential %q: %s", name, res.Body)
	}
	var got given
	decode(t, res.Data.Output, &got)
	return got, res
}

func TestACredentialGivesTheKeysOfItsRole(t *testing.T) {
	for tenant, want := range map[string]struct{ arn, account string }{
		tenantA: {"arn:aws:sts::111111111111:assumed-role/a-prod/ac@", "111111111111"},
		tenantB: {"arn:aws:sts::222222222222:assumed-role/b-prod/acme@", "222222222222"},
	} {
		got, _ := withCredential(t, tenant, "prod")
		if !got.Success || got.AccessKeyID == "" || got.Error != "" {
			t.Fatalf("%s: %v %s", tenant, got.Success, got.Error)
		}
		if until, err := time.Parse(time.RFC3339, got.Expiration); err != nil || time.Until(until) < 15*time.Minute || time.Until(until) > time.Hour {
			t.Errorf("%s: its keys expire at %q, %v: not after the longest timeout", tenant, got.Expiration, err)
		}
		who, err := sts.NewFromConfig(withKey(got.AccessKeyID, got.SecretAccessKey, got.SessionToken)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil || !strings.HasPrefix(*who.Arn, want.arn) || *who.Account != want.account {
			t.Errorf("%s is %v: %v", tenant, who, err)
		}
	}
	if res := runAs(t, tenantA, fleettest.Data{Script: tell}); string(res.Data.Output) != "null" {
		t.Errorf("without a credential: %s", res.Data.Output)
	}
}

// A role that is added to the settings can be assumed once the fleet has read
// them, without a restart.
func TestACredentialThatIsAddedCanBeTriedSoon(t *testing.T) {
	if got, _ := withCredential(t, tenantA, "later"); got.Success {
		t.Fatal("it is there before it is added")
	}
	more := strings.Replace(settings, `"prod":   {"role_arn": "`+roleA, `"later": {"role_arn": "arn:aws:iam::111111111111:role/later"}, "prod":   {"role_arn": "`+roleA, 1)
	file := filepath.Join(fleet.dir, "tenants.json")
	if err := os.WriteFile(file+".new", []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, fleettest.Within, "the added credential is not given", func() bool {
		got, _ := withCredential(t, tenantA, "later")
		return got.Success
	})
}

// A credential is looked up by its exact name, among those of the requesting
// tenant.
func TestACredentialOfAnotherIsNone(t *testing.T) {
	for _, name := range []string{"secret", "acme/secret", "../acme/secret", "acme:secret", "acme\u2044secret", "prod/../secret", "PROD", "prod ", " prod", "*", "pro?", roleB, "ours"} {
		got, res := withCredential(t, tenantA, name)
		if got.Success || got != (given{Error: got.Error}) || !strings.Contains(got.Error, "perator") {
			t.Errorf("%q: %+v", name, got)
		}
		if strings.Contains(string(res.Body), "bbbbbbbb") || strings.Contains(string(res.Body), "aaaaaaaaaaaa") {
			t.Errorf("%q: the result tells an external ID", name)
		}
	}
	if got, _ := withCredential(t, tenantB, "secret"); !got.Success {
		t.Error("the rightful one gets none")
	}
}

// settingsOf are settings in which every credential is the same role.
type settingsOf credential.Role

func (s settingsOf) Role(_, _ string) (credential.Role, bool) { return credential.Role(s), true }

// A tenant may have the operator enter any role, but cannot assume a role that
// does not trust it: the external ID is always the tenant's own.
func TestARoleOfAnotherDoesNotTrustOnesOwnExternalID(t *testing.T) {
	for what, c := range map[string]struct {
		role    credential.Role
		success bool
	}{
		"one's own":               {credential.Role{ARN: roleA, ExternalID: "aaaaaaaaaaaaaaaaaaaa"}, true},
		"the other's":             {credential.Role{ARN: roleB, ExternalID: "aaaaaaaaaaaaaaaaaaaa"}, false},
		"the other's, without":    {credential.Role{ARN: roleB}, false},
		"the tenants' own":        {credential.Role{ARN: fleet.set["SCRIPTFLEET_TENANT_ROLE_ARN"], ExternalID: "aaaaaaaaaaaaaaaaaaaa"}, false},
		"a session's ARN":         {credential.Role{ARN: "arn:aws:sts::222222222222:assumed-role/b-prod/x", ExternalID: "aaaaaaaaaaaaaaaaaaaa"}, false},
		"one with something more": {credential.Role{ARN: roleA + "\n" + roleB, ExternalID: "aaaaaaaaaaaaaaaaaaaa"}, false},
	} {
		assumer, err := credential.NewAssumer(credential.AssumerConfig{OwnAccounts: []string{"123456789012"}},
			credential.AssumerDeps{STS: awssts.New(sts.NewFromConfig(root())), Roles: settingsOf(c.role)})
		if err != nil {
			t.Fatal(err)
		}
		if got := assumer.Assume(t.Context(), credential.Ask{Tenant: tenantA, Credential: "prod", Run: "run"}); got.Success != c.success {
			t.Errorf("%s: %v %s", what, got.Success, got.Reason)
		}
	}
}

// The keys of a credential permit what its role permits, here everything in its
// own account, and nothing in the fleet.
func TestTheKeysOfACredentialOpenNothingOfTheFleets(t *testing.T) {
	ofA, ofB := functions(t)
	cfg := keysOf(t, tenantA)
	assume := func(arn, externalID string) func() error {
		return func() error {
			_, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: &tenantName, ExternalId: &externalID})
			return err
		}
	}
	refused(t, []call{
		{"invoke the other's function", func() error { return invoke(cfg, ofB, payload) }},
		{"invoke one's own, past the fleet", func() error { return invoke(cfg, ofA, payload) }},
		{"list functions", func() error {
			_, err := lambda.NewFromConfig(cfg).ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
			return err
		}},
		{"assume the tenants' role", assume(fleet.set["SCRIPTFLEET_TENANT_ROLE_ARN"], "aaaaaaaaaaaaaaaaaaaa")},
		{"assume the other's role", assume(roleB, "bbbbbbbbbbbbbbbbbbbb")},
		{"assume one's own, for longer", assume(roleA, "aaaaaaaaaaaaaaaaaaaa")},
	}, "AccessDenied", "AccessDeniedException")
	calls := append(onQueues(t, cfg, fleet.set["AWS_ENDPOINT_URL"]+"/123456789012/scriptfleet-"), onBucket(t, cfg, fleet.set["SCRIPTFLEET_BUCKET"])...)
	refused(t, calls, "AccessDenied")
}

// Both tenants may do everything in their own accounts, and make a bucket and a
// queue there.
func TestTheKeysOfACredentialOpenNothingOfAnotherTenants(t *testing.T) {
	ofA, ofB := keysOf(t, tenantA), keysOf(t, tenantB)
	url := map[string]string{}
	for tenant, cfg := range map[string]aws.Config{tenantA: ofA, tenantB: ofB} {
		bucket, key := "bucket-of-"+tenant, "k"
		if _, err := objectsOf(cfg).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
		if _, err := objectsOf(cfg).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(tenant + "'s")}); err != nil {
			t.Fatal(err)
		}
		made, err := sqs.NewFromConfig(cfg).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("work-requests")})
		if err != nil {
			t.Fatal(err)
		}
		url[tenant] = *made.QueueUrl
	}
	if url[tenantA] == url[tenantB] {
		t.Error("both have the same queue", url)
	}
	refused(t, append(onQueues(t, ofA, strings.TrimSuffix(url[tenantB], "requests")), onBucket(t, ofA, "bucket-of-"+tenantB)...), "AccessDenied")

	listed, err := objectsOf(ofA).ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var buckets []string
	for _, b := range listed.Buckets {
		if *b.Name != "elsewhere" { // of another test: the account's own, and open
			buckets = append(buckets, *b.Name)
		}
	}
	if !slices.Equal(buckets, []string{"bucket-of-" + tenantA}) {
		t.Errorf("A lists %v", buckets)
	}
	queues, err := sqs.NewFromConfig(ofA).ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil || len(queues.QueueUrls) != 1 || queues.QueueUrls[0] != url[tenantA] {
		t.Errorf("A lists %+v, %v", queues, err)
	}
	var taken *s3types.BucketAlreadyExists
	if _, err := objectsOf(ofA).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bucket-of-" + tenantB)}); !errors.As(err, &taken) {
		t.Errorf("A makes B's bucket: %v", err)
	}
}

// keysOf is an SDK configuration with the keys that the tenant's script is given.
func keysOf(t *testing.T, tenant string) aws.Config {
	t.Helper()
	got, _ := withCredential(t, tenant, "prod")
	if !got.Success {
		t.Fatalf("%s has no credential: %s", tenant, got.Error)
	}
	return withKey(got.AccessKeyID, got.SecretAccessKey, got.SessionToken)
}

func objectsOf(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

var tenantName = tenantA
