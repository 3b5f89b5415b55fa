package layer

import (
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
)

func TestAPackageThatIsNotForThePythonIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	minor := python(t)
	index := pypitest.Serve(t,
		pypitest.Wheel{Name: "old-tool", Version: "3.6", Requires: []string{"new-tool"}, Files: map[string]string{
			"oldtool/__init__.py": "x = '\\d'\n", "oldtool/stream.py": "\ndef start(async): pass\n", "oldtool/tests/bad.py": "print 1\n"}},
		pypitest.Wheel{Name: "new-tool", Version: "1", Files: map[string]string{"newtool.py": "x = '\\d'\n"}})
	l := mustBuild(t, builder(t, Config{Index: index}), script(t, minor, "old-tool==3.6"))
	want := "warning: old-tool 3.6 is not written for Python " + minor + " (oldtool/stream.py, line 2: invalid syntax); if the script imports that, require a newer version of old-tool"
	if !strings.Contains(l.Log, want) {
		t.Errorf("the log does not say %q: %s", want, l.Log)
	}
	if strings.Count(l.Log, "warning") != 1 || strings.Contains(l.Log, "SyntaxWarning") {
		t.Errorf("the log says more than that: %s", l.Log)
	}
}

func TestEachWayNotToCompileIsRead(t *testing.T) {
	installed := tree{{name: "old-1.dist-info/RECORD", content: []byte("old/a.py,,\nb.py,,\n")}}
	for said, want := range map[string]string{
		"*** Error compiling 'python/old/a.py'...\nSorry: IndentationError: unexpected indent (a.py, line 1)\n":                                     "(old/a.py: unexpected indent (a.py, line 1))",
		"*** Error compiling 'python/b.py'...\nSorry: ValueError: source code string cannot contain null bytes\n":                                   "(b.py: source code string cannot contain null bytes)",
		"*** Error compiling 'python/b.py'...\n  File \"/opt/python/b.py\", line 2\n    print 1\n    ^\nSyntaxError: Missing parentheses\n":         "(b.py, line 2: Missing parentheses)",
		"*** Error compiling 'python/no.py'...\n  File \"/opt/python/no.py\", line 2\n    print 1\n    ^\nSyntaxError: not in any package's list\n": "",
	} {
		got := strings.Join(notForPython(said, installed, "3.13"), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q gives %q, want %q", said, got, want)
		}
	}
}
