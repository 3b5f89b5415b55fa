package layer

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// installer installs the wheels of a script's requirements into the workshop's
// target.
type installer struct {
	uv           string // path of uv, set for each build; empty means pip
	downloads    string
	index        indexSettings
	private      bool // index has a tenant's own
	sources      bool // packages may be built from source
	interpreters interpreter.Set
	answers      *answers // uv's, about the interpreters
}

func newInstaller(cfg Config, found interpreter.Set) installer {
	in := installer{downloads: cfg.Downloads, interpreters: found, sources: cfg.SourceBuilds,
		answers: &answers{made: map[interpreter.Interpreter]map[string][]byte{}}}
	in.index = machineIndex(os.Environ())
	if cfg.Index != "" {
		in.index = in.index.only(cfg.Index)
	}
	return in
}

func (in installer) install(ctx context.Context, s run.Script, w workshop, log *buildLog) error {
	if err := refuseUnsafe(s.Requirements); err != nil {
		return err
	}
	for _, url := range in.index.urls() {
		log.learn(url)
	}
	if in.uv != "" {
		return in.withUV(ctx, s, w, log)
	}
	return in.withPip(ctx, s, w, log)
}

// refuseUnsafe repeats the check of run.NormalizeRequirements: it refuses lines
// that the installer would not take for a package of its index.
func refuseUnsafe(reqs string) error {
	for line := range strings.Lines(reqs) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "-") || strings.ContainsAny(line, "$@\\/\x00") {
			return authorError(TypeInvalidRequirement, "The requirement %q is an option, an address or a path: name the package, its version and its hashes, alone.", line)
		}
	}
	return nil
}

// withUV installs with uv, which resolves for any version of Python with any
// other.
func (in installer) withUV(ctx context.Context, s run.Script, w workshop, log *buildLog) error {
	in.lend(ctx, s.Runtime.Python, w)
	args := []string{"pip", "install", "--requirements", w.reqs, "--target", w.target}
	args = append(args, w.constrain("--constraints")...)
	args = append(args, in.uvFlags(s, w)...)
	log.line(fmt.Sprintf("installing for %s with uv", s.Runtime.Name))
	for sources := 0; ; sources++ {
		out, err := in.uvCommand(args, s, w).run(ctx, log)
		if err == nil || !exited(err) {
			return err
		}
		source, ok := onlySource(out, s)
		switch {
		case !ok || sources == maxSources:
			return in.explainUV(ctx, s, w, out)
		case !in.sources:
			return mayBeBuilt(in.explainUV(ctx, s, w, out))
		}
		if err := in.buildSource(ctx, source, s, w, log); err != nil {
			return err
		}
	}
}

func (in installer) uvFlags(s run.Script, w workshop) []string {
	// With shared downloads a hard link would let one build write a file that
	// another reads.
	downloads, link := in.downloads, "copy"
	if downloads == "" {
		downloads, link = w.downloads(), "hardlink"
	}
	flags := []string{
		"--python-version", s.Runtime.Python,
		"--python-platform", wheelArch(s) + "-" + s.Runtime.Platform,
		"--only-binary", ":all:",
		"--cache-dir", downloads,
		"--link-mode", link,
		"--index-strategy", "first-index",
		"--no-config", "--no-python-downloads", "--no-progress", "--color", "never",
	}
	if in.sources {
		flags = append(flags, "--find-links", w.built())
	}
	if python, ok := in.anyPython(s.Runtime.Python); ok {
		flags = append(flags, "--python", python.Path)
	}
	return flags
}

func (in installer) uvCommand(args []string, s run.Script, w workshop) command {
	c := command{path: in.uv, args: args, env: in.uvEnv(w), work: w, sees: []string{in.uv}, writes: in.downloads, network: true}
	if python, ok := in.anyPython(s.Runtime.Python); ok {
		c.sees = append(c.sees, pythonPaths(python)...)
	}
	return c
}

// anyPython is an interpreter of the version, or else the newest; uv only asks
// it about this machine.
func (in installer) anyPython(minor string) (interpreter.Interpreter, bool) {
	if i, ok := in.interpreters.For(minor); ok {
		return i, true
	}
	return in.interpreters.Newest()
}

func (in installer) pipCommand(args []string, python interpreter.Interpreter, w workshop) command {
	return command{path: python.Path, args: args, env: in.pipEnv(w), work: w, sees: pythonPaths(python), writes: in.downloads, network: true}
}

// minorNumber is 13 for 3.13, and -1 for anything else.
func minorNumber(minor string) int {
	_, after, _ := strings.Cut(minor, ".")
	n, err := strconv.Atoi(after)
	if err != nil {
		return -1
	}
	return n
}

// withPip installs with the pip of the runtime's own Python version: pip
// evaluates markers such as python_version by the Python that runs it.
func (in installer) withPip(ctx context.Context, s run.Script, w workshop, log *buildLog) error {
	python, ok := in.interpreters[s.Runtime.Python]
	if !ok {
		return noInstaller(s.Runtime)
	}
	log.line(fmt.Sprintf("installing for %s with pip, for want of uv: this takes longer, and pip gives up on some requirements that uv resolves", s.Runtime.Name))
	args := append([]string{"-m", "pip", "install", "--requirement", w.reqs, "--target", w.target}, in.pipFlags(s)...)
	args = append(args, w.constrain("--constraint")...)
	pip := in.pipCommand(args, python, w)
	pip.most = 20_000 // pip lists all versions that it has tried
	out, err := pip.run(ctx, log)
	if err == nil || !exited(err) {
		return err
	}
	return in.explainPip(ctx, s, w, python, out)
}

func (in installer) pipFlags(s run.Script) []string {
	flags := []string{
		"--only-binary", ":all:", "--implementation", "cp", "--python-version", s.Runtime.Python,
		"--no-compile", "--no-input", "--no-color", "--progress-bar", "off",
	}
	if in.downloads == "" {
		flags = append(flags, "--no-cache-dir")
	} else {
		flags = append(flags, "--cache-dir", in.downloads)
	}
	for _, p := range wheelPlatforms(s.Runtime.Platform, wheelArch(s)) {
		flags = append(flags, "--platform", p)
	}
	return flags
}

// wheelArch is the script's architecture in a wheel's platform tag.
func wheelArch(s run.Script) string {
	if s.Arch == "arm64" {
		return "aarch64"
	}
	return "x86_64"
}

// wheelPlatforms are the platform tags that a C library supports, newest first:
// its own version and all earlier ones. Unlike uv, pip needs a list of all.
func wheelPlatforms(newest, arch string) []string {
	var tags []string
	minor, err := strconv.Atoi(strings.TrimPrefix(newest, "manylinux_2_"))
	switch {
	case err == nil:
	case newest == "manylinux2014":
		minor = 17
	default:
		return []string{newest + "_" + arch}
	}
	oldest := 5
	if arch == "aarch64" {
		oldest = 17 // the first manylinux tag for that architecture
	}
	for n := minor; n >= oldest; n-- {
		tags = append(tags, fmt.Sprintf("manylinux_2_%d_%s", n, arch))
		if old, ok := map[int]string{17: "manylinux2014_", 12: "manylinux2010_", 5: "manylinux1_"}[n]; ok {
			tags = append(tags, old+arch)
		}
	}
	return append(tags, "linux_"+arch)
}
