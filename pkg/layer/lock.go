package layer

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// maxHashes bounds the digests that are kept of one package. uv lists the files
// that fit the env; there are rarely more than three.
const maxHashes = 8

// resolved are the installed packages by name.
func (t tree) resolved() []run.Package {
	var all []run.Package
	for _, p := range t.packages() {
		all = append(all, run.Package{Name: plainName(p.name), Version: p.version})
	}
	slices.SortFunc(all, func(a, b run.Package) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// withHashes begins to look up the packages' digests, while the build goes on,
// and returns a function that waits for them.
func (in installer) withHashes(ctx context.Context, packages []run.Package, s run.Script, w workshop) (wait func() []run.Package) {
	var g panics.Group
	g.Go(func() error {
		in.findHashes(ctx, packages, s, w)
		return nil
	})
	return func() []run.Package {
		_ = g.Wait() // without digests a lock is less strict, and the layer is no worse
		return packages
	}
}

// findHashes fills in the digests, from what uv has just read from the index: it
// asks nothing again. pip tells no digests.
func (in installer) findHashes(ctx context.Context, packages []run.Package, s run.Script, w workshop) {
	if in.uv == "" {
		return
	}
	var pins strings.Builder
	for _, p := range packages {
		pins.WriteString(p.String() + "\n")
	}
	file := filepath.Join(w.root, "pins.txt")
	if err := os.WriteFile(file, []byte(pins.String()), 0o644); err != nil {
		return
	}
	args := append([]string{"pip", "compile", file, "--no-deps", "--offline", "--format", "pylock.toml", "--no-header", "--quiet"}, in.uvFlags(s, w)...)
	uv := in.uvCommand(dropFlag(args, "--link-mode"), s, w)
	uv.network, uv.most = false, 50_000
	out, err := uv.run(ctx, newBuildLog(func(string) {}))
	if err != nil {
		return
	}
	readPylock(out, packages)
}

var (
	pylockName   = regexp.MustCompile(`^name = "([^"]+)"$`)
	pylockSHA256 = regexp.MustCompile(`sha256 = "([0-9a-f]{64})"`)
)

// readPylock reads the digests out of a pylock.toml of uv's.
func readPylock(text string, packages []run.Package) {
	of := map[string]*run.Package{}
	for n := range packages {
		of[packages[n].Name] = &packages[n]
	}
	var p *run.Package
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := pylockName.FindStringSubmatch(line); m != nil {
			p = of[plainName(m[1])]
		}
		for _, m := range pylockSHA256.FindAllStringSubmatch(line, -1) {
			if p != nil && len(p.SHA256) < maxHashes {
				p.SHA256 = append(p.SHA256, m[1])
			}
		}
	}
}
