package layer

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
)

func TestABuildDoesNotAskTheInterpreterAgain(t *testing.T) {
	t.Parallel()
	index := pypitest.Serve(t, pypitest.Wheel{Name: "one", Version: "1", Files: map[string]string{"one.py": "x = 1\n"}})
	b := builder(t, Config{Index: index})
	in, s := b.installer, script(t, python(t), "one==1")
	in.uv = uvPath(t)
	long := time.Unix(1_000_000_000, 0)
	w, err := b.openWorkshop(s)
	if err != nil {
		t.Fatal(err)
	}
	in.lend(t.Context(), s.Runtime.Python, w)
	answers := filesBelow(t, w.downloads())
	for _, name := range answers {
		if err := os.Chtimes(name, long, long); err != nil {
			t.Fatal(err)
		}
	}
	// It asks again if the answers are there already.
	args := append([]string{"pip", "install", "--requirements", w.reqs, "--target", w.target}, in.uvFlags(s, w)...)
	if out, err := in.uvCommand(args, s, w).run(t.Context(), newBuildLog(func(string) {})); err != nil {
		t.Fatal(err, out)
	}
	if len(answers) == 0 {
		t.Fatal("the build has no answers of uv about its interpreter")
	}
	for _, name := range answers {
		if info, err := os.Stat(name); err != nil || !info.ModTime().Equal(long) {
			t.Errorf("uv has written %s again: it asked the interpreter", filepath.Base(name))
		}
	}
}

// A build that could change the answers would decide about later builds.
func TestABuildCannotChangeTheAnswersOfALaterOne(t *testing.T) {
	t.Parallel()
	b := builder(t, Config{})
	in, s := b.installer, script(t, python(t), "one==1")
	in.uv = uvPath(t)
	for range 2 {
		w, err := b.openWorkshop(s)
		if err != nil {
			t.Fatal(err)
		}
		in.lend(t.Context(), s.Runtime.Python, w)
		for _, name := range filesBelow(t, w.downloads()) {
			data, err := os.ReadFile(name)
			if err != nil || string(data) == "poison" {
				t.Fatalf("a build got what an earlier one wrote: %v", err)
			}
			if err := os.WriteFile(name, []byte("poison"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
