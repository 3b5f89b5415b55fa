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

func TestEachWayNotToCompileIsTold(t *testing.T) {
	t.Parallel()
	minor := python(t)
	files := map[string]string{
		"a.py": "x = 1\n  y = 2\n", "b.py": "x = '\x00'\n", "c.py": "# coding: no-such-coding\n",
		"d.py": "x = " + strings.Repeat("(", 300) + strings.Repeat(")", 300) + "\n", "e/f.py": "print 1\n",
	}
	for name, source := range files {
		index := pypitest.Serve(t, pypitest.Wheel{Name: "bad", Version: "1", Files: map[string]string{name: source, "good.py": "x = 1\n"}})
		l := mustBuild(t, builder(t, Config{Index: index}), script(t, minor, "bad==1"))
		if !strings.Contains(l.Log, "warning: bad 1 is not written for Python "+minor+" ("+name) {
			t.Errorf("%s: the log does not say that it does not compile: %s", name, l.Log)
		}
		if _, there := contents(t, l)["python/__pycache__/good.cpython-"+strings.ReplaceAll(minor, ".", "")+".pyc"]; !there {
			t.Errorf("%s: the other file has no bytecode: %s", name, l.Log)
		}
	}
}
