package layer

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestAnIndexThatFailsIsTheOperatorsAndStaysUnnamed(t *testing.T) {
	t.Setenv("UV_HTTP_RETRIES", "0")
	t.Setenv("PIP_RETRIES", "0")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"down": 503, "forbidden": 403, "locked": 401}[strings.Split(r.URL.Path, "/")[1]]
		w.WriteHeader(status)
	}))
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://")
	for _, url := range []string{
		"http://someone:secret@localhost:1/private-name/simple/",
		"http://someone:secret@" + at + "/down/private-name/",
		"http://someone:secret@" + at + "/forbidden/private-name/",
		"http://someone:secret@" + at + "/locked/private-name/",
	} {
		for _, uv := range []string{"", NoUV} {
			if uv == NoUV && strings.Contains(url, "/locked/") {
				continue // pip prints the same as for a 403, and takes long
			}
			b := builder(t, Config{UV: uv, Index: url})
			l, err := b.Layer(t.Context(), script(t, python(t), "six==1.17.0"))
			e := wantError(t, err, TypeIndexUnavailable, run.OwnerOperator, true)
			for _, secret := range []string{"secret", "someone", "localhost", "127.0.0.1", "private-name"} {
				if strings.Contains(l.Log+e.Message, secret) {
					t.Errorf("%q is in the log: %s", secret, l.Log)
				}
			}
		}
	}
}

// hangingIndex never answers, and sends on asked at each request.
func hangingIndex(t *testing.T) (url string, asked <-chan struct{}) {
	t.Helper()
	said := make(chan struct{}, 100)
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		said <- struct{}{}
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(end) })
	return server.URL, said
}

func TestABuildEndsWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	url, _ := hangingIndex(t)
	b := builder(t, Config{Timeout: time.Second, Index: url})
	_, err := b.Layer(t.Context(), script(t, python(t), "six==1.17.0"))
	wantError(t, err, TypeBuildTimeout, run.OwnerOperator, true)
	noWorkshopIsLeft(t, b)
}

func TestABuildEndsWithItsContextAndNobodyIsToBlame(t *testing.T) {
	t.Parallel()
	for _, uv := range []string{"", NoUV} {
		url, asked := hangingIndex(t)
		b := builder(t, Config{UV: uv, Index: url})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		_, err := b.Layer(ctx, script(t, python(t), "six==1.17.0"))
		var e *run.Error
		if !errors.Is(err, context.Canceled) || errors.As(err, &e) {
			t.Errorf("got %v, want the context's end and nobody's error", err)
		}
		noWorkshopIsLeft(t, b)
	}
}

func noWorkshopIsLeft(t *testing.T, b *Builder) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(b.cfg.CacheDir, workPrefix+"*")); len(left) > 0 {
		t.Errorf("builds left %v", left)
	}
}

func TestATenantsOwnIndexIsTheOnlyOneAsked(t *testing.T) {
	t.Parallel()
	url, asked := hangingIndex(t)
	b := builder(t, Config{Timeout: 3 * time.Second})
	b.deps.PrivateIndex = func(context.Context, run.Script) (PrivateIndex, error) { return PrivateIndex{URL: url}, nil }
	s := script(t, python(t), "six==1.17.0")
	s.PrivateIndex = url
	_, err := b.Layer(t.Context(), s)
	wantError(t, err, TypeBuildTimeout, run.OwnerOperator, true)
	if len(asked) == 0 {
		t.Error("the tenant's index was not asked")
	}
}

func TestAMachineSetUpForOneInstallerIsSetUpForTheOther(t *testing.T) {
	s := machineIndex([]string{"PIP_INDEX_URL=https://a.test/simple", "PIP_FIND_LINKS=/wheels", "PYTHONPATH=/x", "UV_INDEX_CORP_PASSWORD=p", "HTTPS_PROXY=http://proxy.test:1"})
	for k, v := range map[string]string{"PIP_INDEX_URL": "https://a.test/simple", "UV_DEFAULT_INDEX": "https://a.test/simple", "UV_INDEX_CORP_PASSWORD": "p", "HTTPS_PROXY": "http://proxy.test:1", "PIP_FIND_LINKS": "", "PYTHONPATH": ""} {
		if s.env[k] != v {
			t.Errorf("%s is %q, want %q", k, s.env[k], v)
		}
	}
	s = machineIndex([]string{"UV_DEFAULT_INDEX=corp=https://b.test/simple"})
	if s.env["PIP_INDEX_URL"] != "https://b.test/simple" {
		t.Errorf("pip would ask %q", s.env["PIP_INDEX_URL"])
	}
	one := machineIndex([]string{"PIP_EXTRA_INDEX_URL=https://c.test", "UV_INDEX=https://c.test", "UV_INDEX_URL=https://d.test"}).only("https://own.test")
	if urls := one.urls(); slices.ContainsFunc(urls, func(u string) bool { return u != "https://own.test" }) || len(urls) != 2 {
		t.Errorf("indexes asked: %v", urls)
	}
}

func TestPipsOwnConfigurationIsReadForTheWayToTheIndexAlone(t *testing.T) {
	home := t.TempDir()
	conf := "[global]\nindex-url = https://e.test/simple\nno-binary = :all:\n[install]\ntrusted_host=e.test\nconstraint=/c.txt\n[list]\nproxy=http://x\n"
	if err := os.MkdirAll(filepath.Join(home, ".config", "pip"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".config", "pip", "pip.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".netrc"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := machineIndex([]string{"HOME=" + home})
	if s.env["PIP_INDEX_URL"] != "https://e.test/simple" || s.env["PIP_TRUSTED_HOST"] != "e.test" || s.env["PIP_PROXY"] != "" || s.env["PIP_CONSTRAINT"] != "" || s.env["NETRC"] == "" {
		t.Errorf("read %v", s.env)
	}
}
