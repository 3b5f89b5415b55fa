package layer

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// answers are what uv has noted in its cache about the worker's interpreters. uv
// asks an interpreter before it installs anything, which takes longer than the
// rest of a small install. Each build gets a copy in a cache of its own, so that
// no build asks. No build writes the answers: they come from a sandbox without
// network in which uv has seen nothing of any tenant. They are kept in memory.
type answers struct {
	mu   sync.Mutex
	made map[interpreter.Interpreter]map[string][]byte // files by their paths in a cache
}

// uvAnswers is the prefix of uv's folder of answers, which ends with a version.
const uvAnswers = "interpreter-v"

// lend gives the build's download cache the answers about the interpreter that
// uv uses for the runtime. Without them uv asks the interpreter again.
func (in installer) lend(ctx context.Context, minor string, w workshop) {
	python, ok := in.anyPython(minor)
	if !ok || in.uv == "" || in.downloads != "" {
		return
	}
	for name, data := range in.ask(ctx, python, w) {
		path := filepath.Join(w.downloads(), name)
		if os.MkdirAll(filepath.Dir(path), 0o777) == nil {
			_ = os.WriteFile(path, data, 0o644)
		}
	}
	_ = filepath.WalkDir(w.downloads(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o777) // uv runs as another uid
	})
}

// ask returns uv's answers about an interpreter; none where uv gives none. It
// asks once.
func (in installer) ask(ctx context.Context, python interpreter.Interpreter, w workshop) map[string][]byte {
	in.answers.mu.Lock()
	defer in.answers.mu.Unlock()
	if files, known := in.answers.made[python]; known {
		return files
	}
	root, err := os.MkdirTemp(filepath.Dir(w.root), workPrefix)
	if err != nil {
		return nil
	}
	defer os.RemoveAll(root)
	own := workshop{root: root, home: root}
	asking := command{
		path: in.uv, work: own, sees: append(pythonPaths(python), in.uv), env: []string{"HOME=" + own.home, "TMPDIR=" + own.home, "LANG=C.UTF-8"},
		args: []string{"python", "find", python.Path, "--cache-dir", own.downloads(), "--no-config", "--no-python-downloads", "--no-project"},
	}
	_, err = asking.run(ctx, newBuildLog(func(string) {}))
	if ctx.Err() != nil {
		return nil
	}
	var files map[string][]byte
	if err == nil {
		files = readAnswers(own.downloads())
	}
	in.answers.made[python] = files
	return files
}

func readAnswers(cache string) map[string][]byte {
	files := map[string][]byte{}
	_ = fs.WalkDir(os.DirFS(cache), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasPrefix(name, uvAnswers) {
			return nil //nolint:nilerr // what can't be read is asked again
		}
		if data, err := os.ReadFile(filepath.Join(cache, name)); err == nil {
			files[name] = data
		}
		return nil
	})
	return files
}
