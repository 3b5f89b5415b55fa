package layer

import (
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestALayerNamesWhatWasResolvedAndItsLockBuildsTheSame(t *testing.T) {
	t.Parallel()
	index := pypitest.Private(t, "", "", pkg("first-part", "1.0", "old"), pkg("first-part", "1.1", "new"),
		pypitest.Wheel{Name: "whole", Version: "2", Requires: []string{"first.part<1.1"}, Files: map[string]string{"whole.py": ""}})
	b := builder(t, Config{Index: index})
	l := mustBuild(t, b, script(t, python(t), "whole"))
	lock := run.Lock(l.Packages)
	if names := strings.Join(run.Names(l.Packages), " "); names != "first-part==1.0 whole==2" || strings.Count(lock, "--hash=sha256:") != 2 {
		t.Fatalf("the lock is:\n%s", lock)
	}
	locked, bad := run.NormalizeRequirements(lock)
	if bad != nil {
		t.Fatal(bad)
	}
	for _, uv := range []string{"", NoUV} {
		b := builder(t, Config{UV: uv, Index: index})
		exactly := script(t, python(t), strings.Split(locked, "\n")...)
		exactly.EnvHash = "locked"
		same := mustBuild(t, b, exactly)
		if same.SHA256 != l.SHA256 {
			t.Errorf("the lock builds another layer with uv=%q", uv)
		}
		kept := mustBuild(t, b, exactly)
		if !kept.Cached || strings.Join(run.Names(kept.Packages), " ") != "first-part==1.0 whole==2" {
			t.Errorf("the kept layer names %v", kept.Packages)
		}
		other := strings.Replace(locked, l.Packages[0].SHA256[0], strings.Repeat("0", 64), 1)
		_, err := b.Layer(t.Context(), script(t, python(t), strings.Split(other, "\n")...))
		if e := wantError(t, err, TypeHashMismatch, run.OwnerAuthor, false); !strings.Contains(e.Message, "first-part==1.0") {
			t.Errorf("%s", e.Message)
		}
	}
	_, err := builder(t, Config{UV: NoUV, Index: index}).Layer(t.Context(), script(t, python(t), "first-part==1.1", strings.Split(locked, "\n")[1]))
	wantError(t, err, TypeInvalidRequirement, run.OwnerAuthor, false)
}
