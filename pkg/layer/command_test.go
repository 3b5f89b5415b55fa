package layer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

// TestABuildsProgramReachesNothingButItsWorkshop tries to do what a wheel that
// exploits its installer would do.
func TestABuildsProgramReachesNothingButItsWorkshop(t *testing.T) {
	t.Parallel()
	if r := sandbox.Probe(); !r.MountNamespace {
		t.Fatalf("this machine gives no mount namespace: %s", r)
	}
	b := builder(t, Config{})
	mine, err := b.openWorkshop(script(t, python(t), "six"))
	if err != nil {
		t.Fatal(err)
	}
	others, err := b.openWorkshop(script(t, python(t), "six"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(mine.root); os.RemoveAll(others.root) })
	if err := b.cache.put("kept", someLayer('x', 100)); err != nil {
		t.Fatal(err)
	}
	i := interpreters(t)[python(t)]
	const attempt = `
import os, sys
own, others, kept, prefix, here = sys.argv[1:]
def tries(name, f):
    try: f(); print(name, "works")
    except OSError as e: print(name, "fails")
tries("own", lambda: open(own + "/x", "w"))
tries("others", lambda: open(others + "/x", "w"))
tries("read-others", lambda: open(others + "/requirements.txt"))
tries("kept", lambda: open(kept, "r+b"))
tries("prefix", lambda: open(prefix + "/x", "w"))
tries("here", lambda: os.listdir(here))
print("environment", sorted(os.environ))
`
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	log := newBuildLog(func(string) {})
	out, err := command{path: i.Path, args: []string{"-c", attempt, mine.root, others.root, b.cache.path("kept"), i.Prefix, here},
		work: mine, env: []string{"HOME=" + mine.home}, sees: pythonPaths(i)}.run(t.Context(), log)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "own works\nothers fails\nread-others fails\nkept fails\nprefix fails\nhere fails\nenvironment ['HOME']"
	if got := strings.ReplaceAll(out, ", 'LC_CTYPE'", ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if isFile(filepath.Join(others.root, "x")) {
		t.Error("another build's folder was written")
	}
}

func TestWhatOnlyWeMayReadIsLentToTheInstaller(t *testing.T) {
	netrc := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(netrc, []byte("machine x"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := workshop{root: t.TempDir()}
	env, err := lendFiles([]string{"NETRC=" + netrc, "HOME=" + w.root, "SSL_CERT_FILE=/no/such"}, w)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(env[0], "NETRC=")
	if got, err := os.ReadFile(path); err != nil || string(got) != "machine x" || filepath.Dir(path) != w.root {
		t.Errorf("%s: %q %v", path, got, err)
	}
	if env[1] != "HOME="+w.root || env[2] != "SSL_CERT_FILE=/no/such" {
		t.Errorf("got %v", env)
	}
}
