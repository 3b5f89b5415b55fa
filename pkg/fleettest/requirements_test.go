package fleettest

import (
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// unbuildable are requirements that a resolver must refuse. The one that is too
// large is a wheel of 490 MB; the build reads only its announced size, which
// exceeds the limit of an unpacked layer.
var unbuildable = []struct{ name, requirements, kind, says string }{
	{"no-such-package", "scriptfleet-there-is-no-such-package==1.0", "RequirementNotFound", "scriptfleet-there-is-no-such-package"},
	{"no-such-version", "idna==999.0", "RequirementNotFound", "idna"},
	{"conflict", "botocore==1.34.0\nurllib3==1.24", "RequirementConflict", "urllib3"},
	{"over-250-mb", "nvidia-cublas-cu12==12.6.4.1", "EnvTooLarge", "250 MB"},
}

func TestRequirementsThatCannotBeBuiltAreTheAuthorsToMend(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	for _, c := range unbuildable {
		f.send(request(c.name, Data{Script: "def main(input):\n    return 1", Requirements: c.requirements}))
	}
	for _, c := range unbuildable {
		t.Run(c.name, func(t *testing.T) {
			res := f.Await(t, c.name)
			checkError(t, res, run.BuildFailed, run.OwnerAuthor, c.kind)
			if !strings.Contains(res.Data.Error.Message, c.says) {
				t.Errorf("the message does not tell of %s: %s", c.says, res.Data.Error.Message)
			}
			if res.Data.Build.Outcome != run.BuildDidFail || res.Data.Build.Log == nil || res.Data.MayHaveExecuted || res.Data.Function != nil {
				t.Errorf("build %+v, function %v, may have executed: %t", res.Data.Build, res.Data.Function, res.Data.MayHaveExecuted)
			}
		})
	}
	t.Run("the same again is answered at once", func(t *testing.T) {
		f.send(request("again", Data{Script: "def main(input):\n    return 1", Requirements: unbuildable[0].requirements}))
		res := f.Await(t, "again")
		checkError(t, res, run.BuildFailed, run.OwnerAuthor, unbuildable[0].kind)
		if res.Data.Build.Outcome != run.BuildRememberedFailure {
			t.Errorf("the build's outcome is %s", res.Data.Build.Outcome)
		}
	})
	f.goesOn(t)
	f.checkOnce(t, len(unbuildable)+2)
}
