package layer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// password has characters that an address writes in another way.
const password = "pa/ss:w@rd-of-acme"

func pkg(name, version, says string) pypitest.Wheel {
	module := strings.ReplaceAll(name, "-", "_") + ".py"
	return pypitest.Wheel{Name: name, Version: version, Files: map[string]string{module: "SAYS = '" + says + "'\n"}}
}

// withOwnIndex is a builder whose public index has newer versions of the
// tenant's private name, and one package more.
func withOwnIndex(t *testing.T, cfg Config, own PrivateIndex) *Builder {
	t.Helper()
	cfg.Index = pypitest.Serve(t, pkg("acme-greeting", "9.9", "public"), pkg("elsewhere", "1", "public"))
	b := builder(t, cfg)
	b.installer.index.env["UV_HTTP_RETRIES"] = "0"
	b.deps.PrivateIndex = func(context.Context, run.Script) (PrivateIndex, error) { return own, nil }
	return b
}

func acmes(t *testing.T, reqs ...string) run.Script {
	t.Helper()
	s := script(t, python(t), reqs...)
	s.PrivateIndex = "acme's"
	return s
}

func TestATenantsOwnIndexWinsOverThePublicOne(t *testing.T) {
	t.Parallel()
	own := PrivateIndex{URL: pypitest.Private(t, "acme", password, pkg("acme-greeting", "1.0", "private")), User: "acme", Password: password, Public: true}
	b := withOwnIndex(t, Config{}, own)
	l := mustBuild(t, b, acmes(t, "acme-greeting", "elsewhere"))
	if got := contents(t, l)["python/acme_greeting.py"]; !strings.Contains(got, "private") {
		t.Errorf("the layer has %q", got)
	}
	if strings.Contains(l.Log, password) || strings.Contains(l.Log, "pa%2Fss") {
		t.Errorf("the password is in the log: %s", l.Log)
	}
	t.Run("a version that only the public one has is not taken", func(t *testing.T) {
		_, err := b.Layer(t.Context(), acmes(t, "acme-greeting==9.9"))
		wantError(t, err, TypeRequirementNotFound, run.OwnerAuthor, false)
	})
	t.Run("others have the public one", func(t *testing.T) {
		if got := contents(t, mustBuild(t, b, script(t, python(t), "acme-greeting")))["python/acme_greeting.py"]; !strings.Contains(got, "public") {
			t.Errorf("the layer has %q", got)
		}
	})
	t.Run("alone, it has no more", func(t *testing.T) {
		alone := own
		alone.Public = false
		for _, uv := range []string{"", NoUV} {
			b := withOwnIndex(t, Config{UV: uv}, alone)
			_, err := b.Layer(t.Context(), acmes(t, "elsewhere"))
			wantError(t, err, TypeRequirementNotFound, run.OwnerAuthor, false)
			mustBuild(t, b, acmes(t, "acme-greeting"))
		}
	})
	t.Run("pip would mix the two", func(t *testing.T) {
		_, err := withOwnIndex(t, Config{UV: NoUV}, own).Layer(t.Context(), acmes(t, "acme-greeting"))
		wantError(t, err, TypeInstallerMissing, run.OwnerOperator, false)
	})
	t.Run("a refused password is no reason to ask the public one", func(t *testing.T) {
		wrong := own
		wrong.Password = "wrong-" + password
		l, err := withOwnIndex(t, Config{}, wrong).Layer(t.Context(), acmes(t, "acme-greeting"))
		e := wantError(t, err, TypeIndexUnavailable, run.OwnerOperator, true)
		if !strings.Contains(e.Message, "tenants.acme.package_index") || strings.Contains(e.Message+l.Log, wrong.Password) {
			t.Errorf("%s\n%s", e.Message, l.Log)
		}
	})
	t.Run("an index that is away is no reason either", func(t *testing.T) {
		away := own
		away.URL = "http://127.0.0.1:1/simple/"
		_, err := withOwnIndex(t, Config{}, away).Layer(t.Context(), acmes(t, "acme-greeting"))
		wantError(t, err, TypeIndexUnavailable, run.OwnerOperator, true)
	})
}

func TestASecretThatIsNotToBeHadFailsTheBuild(t *testing.T) {
	t.Parallel()
	b := builder(t, Config{})
	why := &run.Error{Owner: run.OwnerOperator, Type: "IndexSecret"}
	b.deps.PrivateIndex = func(context.Context, run.Script) (PrivateIndex, error) { return PrivateIndex{}, why }
	if _, err := b.Layer(t.Context(), acmes(t, "six==1.17.0")); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
