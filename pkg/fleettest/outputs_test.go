package fleettest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// exact is input that JSON libraries tend to change: order, large and small
// numbers, characters beyond the BMP, characters that HTML escapes, and
// characters that no queue accepts unescaped.
const exact = `{"z": 1, "a": {"ü": "☃ 𝄞 <&>  ", "nothing": null, "ends": [true, false]}, "large": 123456789012345678901234567890, "small": 1e-07, "whole": 1.0, "text": "\u0000\u001b \"quoted\" \\ /", "empty": {}, "": []}`

func TestInputsAndOutputsComeThroughUntouched(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	f.send(event("acme", "exact", `{"script":"def main(input):\n    return input","input":`+exact+`}`))
	f.send(
		request("read", Data{Script: "def main(input):\n    return [list(input), input['large'] % 97, type(input['whole']).__name__, input['text']]",
			Input: json.RawMessage(exact)}),
		request("logs", Data{Script: "import sys\ndef main(input):\n    print('grüße')\n    print('to the operator', file=sys.stderr)\n    return None"}),
		request("no-input", Data{Script: "def main(input):\n    return input"}),
		request("large", Data{Script: "def main(input):\n    return ['é' * 1000] * 1500"}),
	)
	t.Run("byte for byte", func(t *testing.T) {
		res := f.Await(t, "exact")
		var want, got any
		if json.Unmarshal([]byte(exact), &want) != nil || json.Unmarshal(res.Data.Output, &got) != nil {
			t.Fatalf("the output is no JSON: %s", res.Data.Output)
		}
		if string(res.Data.Output) != exact {
			t.Errorf("the output is\n%s, not\n%s", res.Data.Output, exact)
		}
	})
	t.Run("the script reads what was sent", func(t *testing.T) {
		want := `[["z", "a", "large", "small", "whole", "text", "empty", ""], 52, "float", "\u0000\u001b \"quoted\" \\ /"]`
		if res := f.Await(t, "read"); string(res.Data.Output) != want {
			t.Errorf("the output is %s", res.Data.Output)
		}
	})
	t.Run("what was printed", func(t *testing.T) {
		res := f.Await(t, "logs")
		if want := (run.Logs{Stdout: "grüße\n", Stderr: "to the operator\n"}); res.Data.Logs != want || string(res.Data.Output) != "null" {
			t.Errorf("the result is %s", res.Body)
		}
	})
	t.Run("no input is an empty one", func(t *testing.T) {
		if res := f.Await(t, "no-input"); string(res.Data.Output) != "{}" {
			t.Errorf("the output is %s", res.Data.Output)
		}
	})
	t.Run("3 MB", func(t *testing.T) {
		res := f.Await(t, "large")
		var got []string
		if err := json.Unmarshal(res.Data.Output, &got); err != nil || len(got) != 1500 || got[1499] != strings.Repeat("é", 1000) {
			t.Errorf("the output of %d bytes is another: %v", len(res.Data.Output), err)
		}
		if len(res.Data.Output) < 3_000_000 {
			t.Errorf("the output has %d bytes only", len(res.Data.Output))
		}
	})
	f.goesOn(t)
	f.checkOnce(t, 6)
}

func TestACredentialIsHandedOverOrTheDecisionLeftToTheScript(t *testing.T) {
	t.Parallel()
	// The first can be assumed in the embedded stack; the second is a role of
	// the platform's own account, which the fleet must never assume.
	tenants := files.Write(t, "tenants.json", `{"tenants":{"acme":{"external_id":"5f0c2a1e-9d3b-4a57-8a86-1f2d3c4b5a69","credentials":{
		"aws-prod":{"role_arn":"arn:aws:iam::210987654321:role/stories"},
		"aws-own":{"role_arn":"arn:aws:iam::123456789012:role/scriptfleet-script"}}}}}`)
	f := startFleet(t, "--tenants", tenants)
	script := "def main(input):\n    c = input['AwsCredentials']\n    return [c['Success'], sorted(k for k in c if c[k]), input['n']]"
	const refused = `[false, ["Error"], %d]`
	for n, c := range []struct{ tenant, credential, want string }{
		{"acme", "aws-prod", `[true, ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Success"], %d]`},
		{"acme", "aws-own", refused},
		{"acme", "aws-test", refused}, // which is not configured
		{"globex", "aws-prod", refused},
	} {
		id := c.tenant + "-" + c.credential
		f.send(Request(c.tenant, id, Data{Script: script, Input: map[string]int{"n": n}, Credential: c.credential}))
		if res := f.Await(t, id); res.Data.Status != run.Succeeded || string(res.Data.Output) != fmt.Sprintf(c.want, n) {
			t.Errorf("%s: %s", id, res.Body)
		}
	}
	f.send(request("none", Data{Script: "def main(input):\n    return input", Input: map[string]int{"n": 4}}))
	if res := f.Await(t, "none"); string(res.Data.Output) != `{"n": 4}` {
		t.Errorf("a run without a credential: %s", res.Body)
	}
	f.checkOnce(t, 5)
}
