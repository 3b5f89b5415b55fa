package layer

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// A package that the index has only as source is built into a wheel, where the
// operator allows it. Its author's code runs in that build, so:
//
//   - uv chooses the version and tells the address, which runs no code; this
//     process downloads the file and checks its digest.
//   - The build has a sandbox and a folder of its own, without network and
//     without the settings of indexes: it sees no secret, and none of the other
//     files of the env. What it needs is installed for it before, from wheels.
//   - Only the wheel is taken from the folder. Its programs must run on the
//     runtime's C library.

//go:embed source.py
var sourceProgram []byte

// maxSources bounds the packages of one env that are built from source.
const maxSources = 10

// onlySource is the package that uv says has no wheel.
func onlySource(out string, s run.Script) (wanted, bool) {
	text := strings.Join(strings.Fields(uvGlyphs.Replace(out)), " ")
	_, proof, found := strings.Cut(text, "No solution found")
	because, _, _ := strings.Cut(proof, "hint:")
	m := uvNoWheel.FindStringSubmatch(because)
	if !found || m == nil {
		return wanted{}, false
	}
	return uvWanted(m[1], because, s), true
}

// mayBeBuilt adds to the error for a package without a wheel that the operator
// may allow to build it.
func mayBeBuilt(err error) error {
	var fault *run.Error
	if !errors.As(err, &fault) || fault.Type != TypeNoWheel {
		return err
	}
	told := *fault
	told.Message += " Where it is there as source, the operator may let workers build it: --source-builds, SCRIPTFLEET_SOURCE_BUILDS."
	return &told
}

// source is a source distribution on an index.
type source struct{ name, version, url, sha256 string }

func (s source) String() string { return s.name + "==" + s.version }

// buildSource builds the wanted package and puts its wheel into the folder
// built, where the installer finds it.
func (in installer) buildSource(ctx context.Context, want wanted, s run.Script, w workshop, log *buildLog) error {
	python, ok := in.interpreters.For(s.Runtime.Python)
	if !ok {
		return &run.Error{Owner: run.OwnerOperator, Type: TypeInstallerMissing,
			Message: fmt.Sprintf("This worker has no Python %s, which it needs to build %s from source: the operator has to install it.", s.Runtime.Python, want.needed())}
	}
	src, err := in.findSource(ctx, want, s, w)
	if err != nil {
		return err
	}
	log.line("building " + src.String() + " from source, in a sandbox without network")
	root, err := os.MkdirTemp(filepath.Dir(w.root), workPrefix)
	if err != nil {
		return fmt.Errorf("make build folder: %w", err)
	}
	defer os.RemoveAll(root)
	log.hide(root)
	own := workshop{root: root, home: root}
	archive := filepath.Join(root, path.Base(src.url))
	if err := in.download(ctx, src, archive); err != nil {
		return err
	}
	wheel, err := in.makeWheel(ctx, archive, python, s, w, own, log)
	var known *run.Error
	switch {
	case err == nil:
	case context.Cause(ctx) != nil || errors.As(err, &known):
		return err
	default:
		return authorError(TypeSourceBuildFailed, "%s is there only as source, and its build failed: %v. The log has the build's own words. Choose a version that has a wheel, or another package.", wanted{what: src.String(), by: want.by}.needed(), err)
	}
	return keepWheel(wheel, w.built(), s.Runtime.Platform)
}

func (w workshop) built() string { return filepath.Join(w.root, "built") }

var (
	pylockVersion = regexp.MustCompile(`(?m)^version = "([^"]+)"$`)
	pylockSource  = regexp.MustCompile(`(?m)^sdist = \{.*url = "([^"]+)".*$`)
)

// findSource asks uv for the version to build, and for its file. Without
// dependencies to resolve uv needs no metadata, and so runs no code of the
// package's.
func (in installer) findSource(ctx context.Context, want wanted, s run.Script, w workshop) (source, error) {
	requirement := want.what
	if line := lineOf(s.Requirements, nameOf(want.what)); line != "" {
		requirement = line
	}
	reqs, lock := filepath.Join(w.root, "source.txt"), filepath.Join(w.root, "pylock.source.toml")
	if err := os.WriteFile(reqs, []byte(requirement+"\n"), 0o644); err != nil {
		return source{}, fmt.Errorf("write requirement: %w", err)
	}
	args := append([]string{"pip", "compile", reqs, "--no-deps", "--format", "pylock.toml", "--no-header", "--quiet", "--output-file", lock}, in.uvFlags(s, w)...)
	args = append(dropFlag(dropFlag(args, "--link-mode"), "--only-binary"), w.constrain("--constraints")...)
	if out, err := in.uvCommand(args, s, w).run(ctx, newBuildLog(func(string) {})); err != nil {
		if exited(err) {
			return source{}, in.explainUV(ctx, s, w, out)
		}
		return source{}, err
	}
	text, err := os.ReadFile(lock)
	if err != nil {
		return source{}, fmt.Errorf("read what uv found: %w", err)
	}
	version, sdist := pylockVersion.FindSubmatch(text), pylockSource.FindSubmatch(text)
	if version == nil || sdist == nil {
		return source{}, noWheel(want, s)
	}
	src := source{name: nameOf(requirement), version: string(version[1]), url: string(sdist[1])}
	if sum := pylockSHA256.FindSubmatch(sdist[0]); sum != nil {
		src.sha256 = string(sum[1])
	}
	return src, nil
}

// makeWheel runs the source's build in its own workshop, and returns the wheel's
// path there.
func (in installer) makeWheel(ctx context.Context, archive string, python interpreter.Interpreter, s run.Script, w, own workshop, log *buildLog) (string, error) {
	program, folder, out := filepath.Join(own.root, "source.py"), filepath.Join(own.root, "source"), filepath.Join(own.root, "out")
	if err := os.WriteFile(program, sourceProgram, 0o644); err != nil {
		return "", fmt.Errorf("make build folder: %w", err)
	}
	tools := filepath.Join(own.root, "tools")
	step := func(args ...string) ([]string, error) {
		env := []string{"PATH=" + filepath.Join(tools, "bin") + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + own.home, "TMPDIR=" + own.home, "LANG=C.UTF-8",
			"PYTHONPATH=" + tools, "PYTHONNOUSERSITE=1", "SOURCE_DATE_EPOCH=315532800"}
		c := command{path: python.Path, args: append([]string{"-u", "-B", program}, args...), env: env, work: own, sees: pythonPaths(python)}
		said, err := c.run(ctx, log)
		return needs(said), err
	}
	reqs, err := step("requires", archive, folder)
	if err != nil {
		return "", err
	}
	for range 2 { // a backend may need more than its source says
		if err := in.installTools(ctx, reqs, tools, s, w, log); err != nil {
			return "", err
		}
		more, err := step("build", folder, out)
		if err == nil {
			return onlyWheel(out)
		}
		if len(more) == 0 || !exited(err) {
			return "", err
		}
		reqs = append(reqs, more...)
	}
	return "", errors.New("the build asks for ever more packages")
}

// needs reads the requirements that source.py has printed last.
func needs(said string) (reqs []string) {
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "needs for its build: "); ok {
			reqs = nil
			_ = json.Unmarshal([]byte(text), &reqs) // the build can print anything; nothing is needed then
		}
	}
	return reqs
}

// installTools installs what a build needs, from wheels. The list is the
// source's own word, so it is held to the rules for authors.
func (in installer) installTools(ctx context.Context, reqs []string, tools string, s run.Script, w workshop, log *buildLog) error {
	text, bad := run.NormalizeRequirements(strings.Join(reqs, "\n"))
	if bad != nil {
		return fmt.Errorf("it needs packages that can't be installed: %s", bad.Message)
	}
	if text == "" {
		return nil
	}
	file := filepath.Join(w.root, "tools.txt")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o644); err != nil {
		return fmt.Errorf("write requirements: %w", err)
	}
	fresh := filepath.Join(w.root, "tools")
	args := append([]string{"pip", "install", "--requirements", file, "--target", fresh}, in.uvFlags(s, w)...)
	args = append(args, w.constrain("--constraints")...)
	out, err := in.uvCommand(args, s, w).run(ctx, log)
	if err != nil && exited(err) {
		return fmt.Errorf("what its build needs (%s) can't be installed from wheels: %v", strings.ReplaceAll(text, "\n", ", "), in.explainUV(ctx, s, w, out)) //nolint:errorlint // the package that needs them is at fault, not they
	}
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(tools), os.Rename(fresh, tools)); err != nil {
		return fmt.Errorf("lend the build its tools: %w", err)
	}
	return nil
}

// onlyWheel is the path of the wheel in a folder that a build has written: a
// regular file, whatever else is there.
func onlyWheel(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("read what was built: %w", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".whl") {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", errors.New("it made no wheel")
}

// keepWheel copies a wheel that fits the platform.
func keepWheel(wheel, to, platform string) error {
	if err := checkWheel(wheel, platform); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("keep wheel: %w", err)
	}
	from, err := os.Open(wheel)
	if err != nil {
		return fmt.Errorf("keep wheel: %w", err)
	}
	defer from.Close()
	f, err := os.Create(filepath.Join(to, filepath.Base(wheel)))
	if err != nil {
		return fmt.Errorf("keep wheel: %w", err)
	}
	_, err = io.Copy(f, from)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep wheel: %w", err)
	}
	return nil
}
