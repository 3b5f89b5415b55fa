package function

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestASecretIsHiddenInLogsAndErrorsAlone(t *testing.T) {
	const text = "key AK, secret s3cr3t, token t0k3n"
	outcome := func() Outcome {
		return Outcome{Output: []byte(`"s3cr3t"`), Logs: run.Logs{Stdout: text, Stderr: text}, Error: &run.Error{Type: "s3cr3t", Message: text, Traceback: text}}
	}
	o, before := outcome(), outcome()
	o.Hide(&Credentials{Success: true, AccessKeyID: "AK", SecretAccessKey: "s3cr3t", SessionToken: "t0k3n"})
	const hidden = "key AK, secret [SecretAccessKey], token [SessionToken]"
	if o.Logs.Stdout != hidden || o.Logs.Stderr != hidden || *o.Error != (run.Error{Type: "[SecretAccessKey]", Message: hidden, Traceback: hidden}) || string(o.Output) != `"s3cr3t"` {
		t.Errorf("%+v, %+v", o, o.Error)
	}
	for _, c := range []*Credentials{nil, {Error: "refused"}} {
		o := outcome()
		if o.Hide(c); o.Logs != before.Logs || *o.Error != *before.Error {
			t.Errorf("without keys: %+v", o)
		}
	}
	o = Outcome{}
	o.Hide(&Credentials{Success: true, SecretAccessKey: "s3cr3t", SessionToken: "t0k3n"})
	if o.Error != nil {
		t.Error("an error was made")
	}
}
