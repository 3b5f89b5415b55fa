package layer

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

type failure struct {
	kind string
	reqs []string
	says []string
}

// installers are both, except for failures that pip needs long to report: for
// those TestWhatInstallersSayIsUnderstood has pip's output.
func (f failure) installers() []string {
	if slices.Contains([]string{"numpy==1.20.0", "boto3==1.35.0", "uuid", "enum34"}, f.reqs[0]) {
		return []string{""}
	}
	return []string{"", NoUV}
}

func TestFailuresSayWhoMendsWhat(t *testing.T) {
	t.Parallel()
	minor := python(t)
	for _, c := range []failure{
		{TypeRequirementNotFound, []string{"scriptfleet-no-such-package-0"}, []string{"scriptfleet-no-such-package-0", "no package named"}},
		{TypeRequirementNotFound, []string{"six==99.0"}, []string{"six==99.0", "1.17.0"}},
		{TypeRequirementConflict, []string{"boto3==1.35.0", "botocore==1.30.0"}, []string{"boto3", "botocore", "1.30.0"}},
		{TypeNoWheel, []string{"docopt==0.6.2"}, []string{"docopt==0.6.2", "wheel", "Python " + minor}},
		{TypeNoWheel, []string{"numpy==1.20.0"}, []string{"numpy==1.20.0", "Python " + minor}},
		{TypeNoWheel, []string{"feedparser==6.0.11"}, []string{"sgmllib3k, which feedparser==6.0.11 needs, has no wheel", "in any version"}},
		{TypePartOfPython, []string{"json"}, []string{"json is part of Python " + minor + ": remove the line json from"}},
		{TypePartOfPython, []string{"uuid"}, []string{"uuid is part of Python " + minor}},
		{TypePartOfPython, []string{"asyncio==3.4.3"}, []string{"asyncio is part of Python " + minor + ": remove the line asyncio==3.4.3 from"}},
		{TypePartOfPython, []string{"enum34"}, []string{"enum34 would take the place of enum, which is part of Python " + minor + ": remove the line enum34 from"}},
		{TypeInvalidRequirement, []string{"foo bar"}, []string{"foo bar"}},
		{TypeInvalidRequirement, []string{"--index-url=nowhere"}, []string{"--index-url"}},
		{TypeInvalidRequirement, []string{"six @ ./six"}, []string{"six"}},
	} {
		for _, uv := range c.installers() {
			t.Run(c.kind+" "+c.reqs[0]+" "+uv, func(t *testing.T) {
				t.Parallel()
				l, err := builder(t, Config{UV: uv}).Layer(t.Context(), script(t, minor, c.reqs...))
				e := wantError(t, err, c.kind, run.OwnerAuthor, false)
				for _, words := range c.says {
					if !strings.Contains(e.Message, words) {
						t.Errorf("message %q does not say %q", e.Message, words)
					}
				}
				if !strings.Contains(l.Log, e.Message) {
					t.Errorf("log does not end in the reason: %q", l.Log)
				}
				t.Log(e.Message)
			})
		}
	}
}

func wantError(t testing.TB, err error, kind string, owner run.Owner, retryable bool) *run.Error {
	t.Helper()
	var e *run.Error
	if !errors.As(err, &e) || e.Type != kind || e.Owner != owner || e.Retryable != retryable {
		t.Fatalf("got %v, want %s of %s (retryable %v)", err, kind, owner, retryable)
	}
	return e
}

func TestALayerOverTheLimitNamesItsLargestPackages(t *testing.T) {
	t.Parallel()
	for _, uv := range []string{"", NoUV} {
		b := builder(t, Config{UV: uv, MaxUnpackedBytes: 1 << 20})
		_, err := b.Layer(t.Context(), script(t, python(t), "requests==2.32.3"))
		e := wantError(t, err, TypeEnvTooLarge, run.OwnerAuthor, false)
		if !strings.Contains(e.Message, "idna") && !strings.Contains(e.Message, "urllib3") {
			t.Errorf("message names no package: %s", e.Message)
		}
	}
}

func TestABuildOverTheLimitIsStoppedBeforeItsDownloadEnds(t *testing.T) {
	t.Parallel()
	// Gigabytes that the build must not download.
	began := time.Now()
	_, err := builder(t, Config{}).Layer(t.Context(), script(t, python(t), "torch==2.6.0"))
	e := wantError(t, err, TypeEnvTooLarge, run.OwnerAuthor, false)
	if !strings.Contains(e.Message, "torch") && !strings.Contains(e.Message, "nvidia") {
		t.Errorf("message names no package: %s", e.Message)
	}
	t.Logf("after %s: %s", time.Since(began), e.Message)
}

func TestPipIsNotUsedForAnotherPython(t *testing.T) {
	t.Parallel()
	b, err := New(Config{CacheDir: t.TempDir(), UV: NoUV}, Deps{Interpreters: interpreter.Set{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Layer(t.Context(), script(t, "3.13", "six==1.17.0"))
	wantError(t, err, TypeInstallerMissing, run.OwnerOperator, false)
}
