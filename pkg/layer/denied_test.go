package layer

import (
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestADeniedPackageIsInNoLayer(t *testing.T) {
	t.Parallel()
	index := pypitest.Serve(t, pkg("part", "1.0", "old"), pkg("part", "1.1", "new"),
		pypitest.Wheel{Name: "whole", Version: "2", Requires: []string{"part"}}, pypitest.Wheel{Name: "strict", Version: "2", Requires: []string{"part==1.1"}})
	for _, uv := range []string{"", NoUV} {
		list := run.Denied{}
		b := builder(t, Config{UV: uv, Index: index})
		b.deps.Denied = func() run.Denied { return list }
		deny := func(packages ...string) {
			t.Helper()
			all := map[string]string{}
			for _, p := range packages {
				all[p] = "CVE-1"
			}
			var err error
			if list, err = run.NewDenied("security@example.com", all); err != nil {
				t.Fatal(err)
			}
		}
		whole := script(t, python(t), "whole")
		if names := run.Names(mustBuild(t, b, whole).Packages); names[0] != "part==1.1" {
			t.Fatalf("before: %v", names)
		}
		deny("part==1.1.0")
		if l := mustBuild(t, b, whole); run.Names(l.Packages)[0] != "part==1.0" {
			t.Errorf("the kept layer is used, or the version: cached %t, %v", l.Cached, run.Names(l.Packages))
		}
		for _, c := range []struct{ requirement, denied, says string }{
			{"part==1.1", "part==1.1", "part==1.1 may not be used in this fleet (CVE-1). Choose another version, or ask security@example.com"},
			{"strict", "part==1.1", "part==1.1 may not be used"},
			{"whole", "part", "part==1.1, which whole==2 needs, may not be used in this fleet (CVE-1). Choose another package"},
			{"Part>=1", "part", "part may not be used"},
		} {
			deny(c.denied)
			_, err := b.Layer(t.Context(), script(t, python(t), c.requirement))
			if e := wantError(t, err, TypePackageDenied, run.OwnerAuthor, false); !strings.Contains(e.Message, c.says) {
				t.Errorf("uv=%q: %s without %s: %s", uv, c.requirement, c.denied, e.Message)
			}
		}
	}
}
