package layer

import (
	"errors"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// said are recorded outputs of installers, with the errors that they must
// become.
var said = []struct {
	tool, out  string
	kind, says string
}{
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because scriptfleet-x was not found in the package registry and you require scriptfleet-x, we can conclude that your requirements are unsatisfiable.", TypeRequirementNotFound, "scriptfleet-x"},
	{"uv", "  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of six==99.0 and you require six==99.0, we can\n      conclude that your requirements are unsatisfiable.", TypeRequirementNotFound, "six==99.0"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because only numpy<=2.5.5 is available and you require numpy>=3,<4, we can conclude that your requirements are unsatisfiable.", TypeRequirementNotFound, "numpy>=3,<4"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because requests==2.32.3 depends on urllib3>=1.21.1,<3 and you require requests==2.32.3, we can conclude that you require urllib3>=1.21.1,<3.\n         And because you require urllib3==1.0, we can conclude that your requirements are unsatisfiable.", TypeRequirementConflict, "requests==2.32.3 needs urllib3>=1.21.1,<3, but urllib3==1.0 is required too"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because docopt==0.6.2 has no usable wheels and you require docopt==0.6.2, we can conclude that your requirements are unsatisfiable.\n\nhint: Wheels are required for `docopt` because building from source is disabled for all packages (i.e., with `--no-build`)", TypeNoWheel, "docopt==0.6.2"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because sgmllib3k==1.0.0 has no usable wheels and only sgmllib3k==1.0.0 is available, we can conclude that all versions of sgmllib3k cannot be used.\n         And because feedparser==6.0.11 depends on sgmllib3k and you require feedparser==6.0.11, we can conclude that your requirements are unsatisfiable.", TypeNoWheel, "sgmllib3k, which feedparser==6.0.11 needs, has no wheel for Python 3.13 on Linux (manylinux_2_34) in any version"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because botocore>=1.29.0,<=1.29.165 depends on urllib3>=1.25.4,<1.27 and boto3==1.26.0 depends on botocore>=1.29.0,<1.30.0, we can conclude that boto3==1.26.0 depends on urllib3>=1.25.4,<1.27.\n         And because you require boto3==1.26.0 and urllib3==2.2.3, we can conclude that your requirements are unsatisfiable.", TypeRequirementConflict, "boto3==1.26.0 needs urllib3>=1.25.4,<1.27, but urllib3==2.2.3 is required too"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because scriptfleet-x was not found in the package registry and wide==1 depends on scriptfleet-x, we can conclude that wide==1 cannot be used.\n         And because you require wide==1, we can conclude that your requirements are unsatisfiable.", TypeRequirementNotFound, "no package named scriptfleet-x on the package index, and wide==1 needs it"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because uuid==1.30 has no usable wheels and only uuid==1.30 is available, we can conclude that all versions of uuid cannot be used.\n         And because you require uuid, we can conclude that your requirements are unsatisfiable.", TypePartOfPython, "uuid is part of Python 3.13: remove the line uuid from the requirements"},
	{"uv", "  × No solution found when resolving dependencies:\n  ╰─▶ Because torch==1.0 has no wheels with a matching Python ABI tag (e.g., `cp313`) and you require torch==1.0, we can conclude that your requirements are unsatisfiable.", TypeNoWheel, "torch==1.0"},
	{"uv", "  × No solution found when resolving dependencies:\n  ╰─▶ Because the requested Python version (>=3.9) does not satisfy Python>=3.11 and numpy==2.3.0 depends on Python>=3.11, we can conclude that numpy==2.3.0 cannot be used. And because you require numpy==2.3.0, we can conclude that your requirements are unsatisfiable.", TypeNoWheel, "numpy==2.3.0 needs Python >=3.11, and the script's runtime has Python 3.13"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because wide==1 has an invalid package format and you require wide==1, we can conclude that your requirements are unsatisfiable.", TypeNoWheel, "The wheel of wide==1 on the package index is broken"},
	{"uv", "error: Couldn't parse requirement in `requirements.txt` at position 0\n  cause: Expected one of `@`, `(`, `<`, `=`, `>`, `~`, `!`, `;`, found `b`\n         foo bar\n             ^", TypeInvalidRequirement, "foo bar"},
	{"uv", "error: Request failed after 3 retries in 8.0s\n  cause: Failed to fetch: <index>/six\n  cause: dns error", TypeIndexUnavailable, "could not be reached"},
	{"uv", "error: No solution found when resolving dependencies\n  cause: Because six was not found in the package registry and you require six, we can conclude that your requirements are unsatisfiable.\n\nhint: An index URL (<index>) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)", TypeIndexUnavailable, "credentials"},
	{"uv", "error: Failed to install: idna-3.20-py3-none-any.whl (idna==3.20)\n  cause: failed to copy file: No space left on device (os error 28)", TypeDiskFull, "full"},
	{"uv", "thread 'main' panicked", TypeBuildError, "panicked"},
	{"pip", "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", TypeDiskFull, "full"},
	{"pip", "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('x')': /simple/six/\nERROR: Could not find a version that satisfies the requirement six (from versions: none)", TypeIndexUnavailable, "could not be reached"},
	{"pip", "ERROR: Cannot install -r r.txt (line 2) and botocore==1.30.0 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested botocore==1.30.0\n    boto3 1.35.0 depends on botocore<1.36.0 and >=1.35.0\n\nTo fix this you could try to:", TypeRequirementConflict, "the requirements ask for botocore==1.30.0; boto3 1.35.0 needs botocore<1.36.0"},
	{"pip", "ERROR: Cannot install boto3==1.26.0, botocore==1.29.1, botocore==1.29.2 and urllib3==2.2.3 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested urllib3==2.2.3\n    botocore 1.29.2 depends on urllib3<1.27 and >=1.25.4\n    The user requested urllib3==2.2.3\n    botocore 1.29.1 depends on urllib3<1.27 and >=1.25.4\nTo fix this you could try to:", TypeRequirementConflict, "exclude each other: the requirements ask for urllib3==2.2.3; botocore 1.29.2 needs urllib3<1.27 and >=1.25.4 (none of the 2 versions that were tried fits). Loosen"},
	{"pip", "    botocore 1.29.2 depends on urllib3<1.27 and >=1.25.4\n\nERROR: ResolutionImpossible: for help visit <index>", TypeRequirementConflict, "no versions that fit together"},
	{"pip", "ERROR: Invalid requirement: 'foo bar': Expected end or semicolon\n    foo bar\n        ^ (from line 1 of r.txt)", TypeInvalidRequirement, "foo bar"},
	{"pip", "pip._vendor.packaging.version.InvalidVersion: Invalid version: ''", TypeInvalidRequirement, "six=="},
	{"pip", "/usr/bin/python3.13: No module named pip", TypeInstallerMissing, "neither uv nor a Python 3.13 with pip"},
	{"pip", "Segmentation fault", TypeBuildError, "Segmentation fault"},
}

func explained(tool, out string) error {
	s := run.Script{Requirements: "six==\nuuid\nfeedparser==6.0.11\nboto3==1.26.0\nscriptfleet-none\nwide==1\nnumpy==2.3.0", Runtime: run.Runtime{Name: "python3.13", Python: "3.13", Platform: "manylinux_2_34"}}
	if tool == "uv" {
		fault, _, err := readUV(out, s)
		if fault != nil {
			return fault
		}
		return err
	}
	fault, requirement, _, err := readPip(out, s)
	switch {
	case fault != nil:
		return fault
	case requirement != "":
		return errors.New("has to be asked: " + requirement)
	}
	return err
}

func TestWhatInstallersSayIsUnderstood(t *testing.T) {
	b := &Builder{}
	for _, c := range said {
		var e *run.Error
		if err := b.blame(t.Context(), explained(c.tool, c.out), run.Script{}, nil); !errors.As(err, &e) || e.Type != c.kind || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s said %q: got %v, want %s that says %q", c.tool, c.out, err, c.kind, c.says)
		}
		t.Logf("%s: %s", c.kind, e.Message)
	}
}

func TestPipsSecondAnswerTellsWhyNothingMatched(t *testing.T) {
	s := run.Script{Requirements: "feedparser==6.0.11\nlogging", Runtime: run.Runtime{Python: "3.13", Platform: "manylinux_2_34"}}
	const skipped = "  Skipping link: none of the wheel's tags (cp39-cp39-win32) are compatible (run pip debug --verbose to show compatible tags): <index>/numpy-1.20.0-cp39-cp39-win32.whl\n"
	for _, c := range []struct{ requirement, versions, more, kind, says string }{
		{"sgmllib3k (from feedparser)", "none", "  Skipping link: No sources permitted for sgmllib3k: <index>/sgmllib3k-1.0.0.tar.gz (from <index>)", TypeNoWheel, "sgmllib3k, which feedparser==6.0.11 needs, has no wheel for Python 3.13 on Linux (manylinux_2_34) in any version"},
		{"logging", "none", "  Skipping link: No sources permitted for logging: <index>/logging-0.4.9.6.tar.gz (from <index>)", TypePartOfPython, "logging is part of Python 3.13: remove the line logging from"},
		{"no-such", "none", "Could not fetch URL <index> 404 Client Error: Not Found for url: <index> - skipping", TypeRequirementNotFound, "no package named no-such"},
		{"docopt==0.6.2", "none", "  Skipping link: No sources permitted for docopt: <index>/docopt-0.6.2.tar.gz (from <index>)", TypeNoWheel, "docopt==0.6.2"},
		{"numpy==1.20.0", "2.1.0, 2.2.0", skipped, TypeNoWheel, "numpy==1.20.0"},
		{"numpy==1.20", "2.1.0, 2.2.0, 2.3.0, 2.4.0", skipped, TypeRequirementNotFound, "2.4.0, 2.3.0, 2.2.0"},
		{"numpy==99", "2.1.0", skipped, TypeRequirementNotFound, "such as 2.1.0"},
		{"numpy<1", "none", "  Link requires a different Python (3.9.18 not in: '>=3.11'): <index>/numpy-2.3.0.tar.gz", TypeNoWheel, "numpy<1"},
		{"six", "none", "Could not fetch URL <index>: 503 Server Error: Service Unavailable for url: <index> - skipping", TypeIndexUnavailable, "reached"},
		{"six", "none", "Could not fetch URL <index>: 403 Client Error: Forbidden for url: <index> - skipping", TypeIndexUnavailable, "credentials"},
	} {
		var e *run.Error
		if err := explainNoMatch(pipRequirement(c.requirement, s), c.versions, c.more, s); !errors.As(err, &e) || e.Type != c.kind || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: got %v, want %s that says %q", c.requirement, err, c.kind, c.says)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, c := range said {
		f.Add(c.out)
	}
	f.Fuzz(func(t *testing.T, out string) {
		for _, tool := range []string{"uv", "pip"} {
			if explained(tool, out) == nil {
				t.Errorf("%s failed with %q, and nobody is told", tool, out)
			}
		}
	})
}

func TestALogIsBoundedAndKeepsBothEnds(t *testing.T) {
	l := newBuildLog(func(string) {})
	l.line("the first")
	for range 10_000 {
		l.line(strings.Repeat("x", 100))
	}
	l.line("the last")
	got := l.String()
	if len(got) > maxLog || !strings.HasPrefix(got, "the first\n") || !strings.HasSuffix(got, "\nthe last") || !strings.Contains(got, cutMark) {
		t.Errorf("log has %d bytes, begins %.20q, ends %q", len(got), got, got[len(got)-20:])
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("Looking in indexes: https://user:pass@index.test/team/simple/, host='index.test' index.test")
	f.Add("cause: Failed to fetch: `http://index.test:8080/simple/six/?token=1#x`")
	f.Fuzz(func(t *testing.T, line string) {
		var s scrubber
		s.learn("https://index.test/simple")
		if got := s.clean(line); strings.Contains(strings.ToLower(got), "https://") || strings.Contains(got, "index.test") {
			t.Errorf("%q came out as %q", line, got)
		}
	})
}

func TestLinesOfAnyFormReachTheLogWhole(t *testing.T) {
	var got []string
	w := &lineWriter{emit: func(s string) { got = append(got, s) }}
	for _, part := range []string{"one\ntw", "o\r\nthree\r", "four\n\n", "fi", "ve"} {
		_, _ = w.Write([]byte(part))
	}
	w.flush()
	if strings.Join(got, ",") != "one,two,three,four,five" {
		t.Errorf("got %q", got)
	}
}
