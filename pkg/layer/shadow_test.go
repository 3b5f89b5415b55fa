package layer

import (
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// TestAModuleOfPythonsIsLeftOutWhereAnotherPackageBringsIt holds the layer to
// what happens on the author's machine: there the standard library precedes
// site-packages.
func TestAModuleOfPythonsIsLeftOutWhereAnotherPackageBringsIt(t *testing.T) {
	t.Parallel()
	minor := python(t)
	index := pypitest.Serve(t,
		pypitest.Wheel{Name: "old-tool", Version: "2.1", Requires: []string{"enum34"}, Files: map[string]string{
			"oldtool/__init__.py": "", "platform.py": "", "xml/oldtool.py": "", "cgi/oldtool.py": ""}},
		pypitest.Wheel{Name: "enum34", Version: "1.1", Files: map[string]string{"enum/__init__.py": "", "enum/LICENSE": ""}})
	for _, uv := range []string{"", NoUV} {
		l := mustBuild(t, builder(t, Config{UV: uv, Index: index}), script(t, minor, "old-tool==2.1"))
		var names []string
		for name := range contents(t, l) {
			if strings.HasSuffix(name, ".py") {
				names = append(names, name)
			}
		}
		if len(names) != 3 || strings.Contains(strings.Join(names, " "), "platform") {
			t.Errorf("the layer has %v", names)
		}
		for _, says := range []string{"left out platform of old-tool 2.1: Python " + minor + " has its own", "left out enum of enum34 1.1"} {
			if !strings.Contains(l.Log, says) {
				t.Errorf("the log does not say %q: %s", says, l.Log)
			}
		}
	}
}

func TestARequirementThatOnlyShadowsPythonIsTheAuthorsToRemove(t *testing.T) {
	t.Parallel()
	index := pypitest.Serve(t, pypitest.Wheel{Name: "typing", Version: "3.10", Files: map[string]string{"typing.py": ""}})
	for _, uv := range []string{"", NoUV} {
		_, err := builder(t, Config{UV: uv, Index: index}).Layer(t.Context(), script(t, python(t), "typing>=3"))
		e := wantError(t, err, TypePartOfPython, run.OwnerAuthor, false)
		if !strings.Contains(e.Message, "remove the line typing>=3 from") {
			t.Error(e.Message)
		}
	}
}

func TestTheStandardLibraryIsThatOfTheRuntime(t *testing.T) {
	for _, c := range []struct {
		module, minor string
		in            bool
	}{
		{"json", "3.8", true}, {"json", "3.14", true}, {"requests", "3.13", false}, {"test", "3.13", false},
		{"cgi", "3.12", true}, {"cgi", "3.13", false}, {"distutils", "3.11", true}, {"distutils", "3.12", false},
		{"tomllib", "3.10", false}, {"tomllib", "3.11", true}, {"compression", "3.13", false}, {"compression", "3.14", true},
	} {
		if inStandardLibrary(c.module, c.minor) != c.in {
			t.Errorf("%s in Python %s: want %v", c.module, c.minor, c.in)
		}
	}
}

func TestAModuleThatLeftPythonNamesItsSuccessor(t *testing.T) {
	for _, c := range []struct {
		module, minor, successor string
		left                     bool
	}{
		{"cgi", "3.12", "", false}, {"cgi", "3.13", "legacy-cgi", true}, {"telnetlib", "3.14", "standard-telnetlib", true},
		{"distutils", "3.12", "", true}, {"symbol", "3.13", "", true}, {"json", "3.13", "", false},
	} {
		if successor, left := leftPython(c.module, c.minor); successor != c.successor || left != c.left {
			t.Errorf("%s in Python %s: %q %v", c.module, c.minor, successor, left)
		}
	}
}

func TestTheStandardLibraryIsWhatTheInterpretersSay(t *testing.T) {
	t.Parallel()
	for minor, i := range interpreters(t) {
		if minorNumber(minor) < 10 {
			continue // they can't say
		}
		w := workshop{root: t.TempDir()}
		out, err := command{path: i.Path, args: []string{"-c", "import sys; print(*sys.stdlib_module_names, sep='\\n')"}, work: w, sees: pythonPaths(i)}.run(t.Context(), newBuildLog(func(string) {}))
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		names := wordSet(out)
		for _, have := range []map[string]bool{standard, keys(since), keys(until)} {
			for module := range have {
				if inStandardLibrary(module, minor) != names[module] {
					t.Errorf("%s in Python %s: it says %v", module, minor, names[module])
				}
			}
		}
	}
}

func keys(m map[string]int) map[string]bool {
	set := map[string]bool{}
	for k := range m {
		set[k] = true
	}
	return set
}
