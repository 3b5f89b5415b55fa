package layer

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// curious is a source whose build writes what it gets hold of into its module:
// secrets, other files of the env, and the index.
func curious(index string) pypitest.Source {
	u, _ := url.Parse(index)
	return pypitest.Backend("only-source", "1.0", "a-tool>=1", `import a_tool, glob, os, socket
found = [k + "=" + v for k, v in os.environ.items() if "INDEX" in k or "`+password+`" in v]
beside = os.path.dirname(os.environ["HOME"])
found += glob.glob(beside + "/*/requirements.txt") + glob.glob(beside + "/*/lent-*")
try:
    socket.create_connection(("`+u.Hostname()+`", `+u.Port()+`), 2).close()
    found.append("the network")
except OSError:
    pass
text = "FOUND = %r" % found
`)
}

func TestASourceIsBuiltWhereTheOperatorAllowsItAndFindsNothing(t *testing.T) {
	t.Parallel()
	public := pypitest.Serve(t, pkg("a-tool", "1.0", "tool"))
	own := PrivateIndex{User: "acme", Password: password, Public: true}
	own.URL = pypitest.Private[pypitest.File](t, "acme", password, curious(public),
		pypitest.Wheel{Name: "whole", Version: "2", Requires: []string{"only-source>=1"}},
		pypitest.Source{Name: "broken", Version: "1", Files: map[string]string{"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = \"no_such_backend\"\n"}})
	build := func(allowed bool, requirement string) (Layer, error) {
		b := builder(t, Config{Index: public, SourceBuilds: allowed})
		b.deps.PrivateIndex = func(context.Context, run.Script) (PrivateIndex, error) { return own, nil }
		l, err := b.Layer(t.Context(), acmes(t, requirement))
		noWorkshopIsLeft(t, b)
		return l, err
	}
	for _, requirement := range []string{"whole", "only-source==1.0"} {
		l, err := build(true, requirement)
		if err != nil {
			t.Fatalf("%v\n%s", err, l.Log)
		}
		if got := contents(t, l)["python/only_source.py"]; strings.TrimSpace(got) != "FOUND = []" {
			t.Errorf("the build found: %s", got)
		}
		if strings.Contains(l.Log, password) {
			t.Errorf("the password is in the log: %s", l.Log)
		}
	}
	_, err := build(false, "whole")
	e := wantError(t, err, TypeNoWheel, run.OwnerAuthor, false)
	for _, says := range []string{"only-source", "which whole needs", "--source-builds", "SCRIPTFLEET_SOURCE_BUILDS"} {
		if !strings.Contains(e.Message, says) {
			t.Errorf("%s is not told: %s", says, e.Message)
		}
	}
	l, err := build(true, "broken")
	e = wantError(t, err, TypeSourceBuildFailed, run.OwnerAuthor, false)
	if !strings.Contains(e.Message, "broken==1") {
		t.Errorf("%s\n%s", e.Message, l.Log)
	}
}
