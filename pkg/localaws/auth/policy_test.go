package auth

import (
	"regexp"
	"strings"
	"testing"
)

func TestPoliciesAllowAndDenyAsIAMDoes(t *testing.T) {
	const document = `{"Version":"2012-10-17","Statement":[
		{"Sid":"own","Effect":"Allow","Action":["lambda:Invoke*","sqs:?endMessage"],"Resource":"arn:aws:lambda:*:*:function:sf-acme-*"},
		{"Effect":"Deny","Action":"lambda:InvokeFunction","Resource":["arn:aws:lambda:r:1:function:sf-acme-secret"]}]}`
	policy, err := ParsePolicy(document)
	if err != nil {
		t.Fatal(err)
	}
	id := SessionOf("k", "arn:aws:sts::1:assumed-role/r/s", "u", policy)
	for _, c := range []struct {
		action, resource string
		want             bool
	}{
		{"lambda:InvokeFunction", "arn:aws:lambda:r:1:function:sf-acme-1", true},
		{"LAMBDA:invokefunction", "arn:aws:lambda:r:1:function:sf-acme-1", true},
		{"sqs:SendMessage", "arn:aws:lambda:r:1:function:sf-acme-1", true},
		{"sqs:ReSendMessage", "arn:aws:lambda:r:1:function:sf-acme-1", false},
		{"lambda:InvokeFunction", "arn:aws:lambda:r:1:function:sf-acme-secret", false},
		{"lambda:InvokeAsync", "arn:aws:lambda:r:1:function:sf-acme-secret", true},
		{"lambda:InvokeFunction", "arn:aws:lambda:r:1:function:sf-acmes", false},
		{"lambda:InvokeFunction", "arn:aws:lambda:r:1:function:SF-ACME-1", false},
		{"lambda:DeleteFunction", "arn:aws:lambda:r:1:function:sf-acme-1", false},
	} {
		if got := id.Allows(c.action, c.resource); got != c.want {
			t.Errorf("%s on %s: %v", c.action, c.resource, got)
		}
	}
}

func TestAPolicyReachesItsOwnAccountAlone(t *testing.T) {
	id := SessionOf("k", "arn:aws:sts::222222222222:assumed-role/r/s", "u", AllowAll())
	for resource, want := range map[string]bool{
		"arn:aws:sqs:r:222222222222:mine": true, "arn:aws:sqs:r:111111111111:yours": false,
		"arn:aws:lambda:r:111111111111:function:f": false, "arn:aws:s3:::bucket": true, "*": true,
	} {
		if got := id.Allows("a:B", resource); got != want {
			t.Errorf("%s: %v", resource, got)
		}
	}
	trusts := Role{ARN: "arn:aws:iam::222222222222:role/r", Principal: "111111111111", ExternalIDs: []string{"x"}}
	for account, want := range map[string]bool{"111111111111": true, "222222222222": false} {
		caller := SessionOf("k", "arn:aws:sts::"+account+":assumed-role/r/s", "u", AllowAll())
		if got := trusts.Trusts(caller, "x"); got != want {
			t.Errorf("a role that trusts 111111111111 trusts %s: %v", account, got)
		}
		if trusts.Trusts(caller, "y") {
			t.Error("another external ID is trusted")
		}
	}
}

func TestWithoutAPolicyNothingIsAllowed(t *testing.T) {
	for what, id := range map[string]Identity{
		"no identity": {}, "no policy": SessionOf("k", "a", "u"), "an empty policy": SessionOf("k", "a", "u", Allow(nil, []string{"*"})),
		"one of two": SessionOf("k", "a", "u", AllowAll(), &Policy{}),
	} {
		if id.Allows("a:B", "c") {
			t.Error(what)
		}
	}
	if !Root("1", "k").Allows("a:B", "c") {
		t.Error("root may do everything")
	}
}

func TestPoliciesThatSayMoreThanWeKnowAreRefused(t *testing.T) {
	for _, document := range []string{
		``, `[]`, `{}`, `{"Statement":[]}`, `{"Statement":{"Effect":"Allow"}}`, `{"Statement":{"Effect":"Perhaps","Action":"*","Resource":"*"}}`,
		`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}}`,
		`{"Statement":{"Effect":"Allow","NotAction":"*","Resource":"*"}}`,
		`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}]}`,
		`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}} x`,
	} {
		if _, err := ParsePolicy(document); err == nil {
			t.Errorf("%s passes", document)
		}
	}
}

func FuzzWildcardsMatchAsRegularExpressionsDo(f *testing.F) {
	f.Add("sf-*-a?c*", "sf-acme-abc")
	f.Add("**", "")
	f.Add("a*a*a*b", "aaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		expression := strings.NewReplacer(`\*`, `(?s:.*)`, `\?`, `(?s:.)`).Replace(regexp.QuoteMeta(pattern))
		re, err := regexp.Compile("^" + expression + "$")
		for i := range len(s) + len(pattern) {
			if b := (s + pattern)[i]; b >= 0x80 {
				return // the expression counts characters; IAM and the code compare ASCII bytes
			}
		}
		if err != nil {
			return
		}
		if got, want := matches(pattern, s), re.MatchString(s); got != want {
			t.Errorf("%q on %q: %v", pattern, s, got)
		}
	})
}
