package architecture

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the folder of the module.
var root = filepath.Join("..", "..", "..")

const module = "github.com/scriptfleet/scriptfleet/"

// graph maps each package to its imports, without those of tests. A package of
// the module is named by its path below the module's root.
type graph map[string][]string

func TestEveryPackageImportsOnlyWhatTheRulesAllow(t *testing.T) {
	g, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range breaches(g) {
		t.Error(breach)
	}
}

func TestTheRulesNamePackagesThatExist(t *testing.T) {
	g, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	for adapter := range adapters {
		if _, there := g[adapter]; !there {
			t.Errorf("the table of adapters names %s, which is no package", adapter)
		}
	}
	for _, contract := range contracts {
		if _, there := g[contract]; !there {
			t.Errorf("the contracts name %s, which is no package", contract)
		}
	}
}

func TestEveryRuleFindsItsBreach(t *testing.T) {
	sdk, client := aws+"aws-sdk-go-v2/service/sqs", redis+"go-redis/v9"
	for name, g := range map[string]graph{
		"the worker on an SDK":           {"worker": {sdk}},
		"the worker on Redis by way":     {"worker": {"pkg/x"}, "pkg/x": {"pkg/lease/redislease"}, "pkg/lease/redislease": {client}},
		"the dispatcher on the worker":   {"dispatcher": {"worker"}},
		"the worker on the dispatcher":   {"worker": {"dispatcher"}},
		"a package on cmd":               {"pkg/run": {"cmd/internal/wire"}},
		"a contract on the worker":       {"pkg/queue": {"worker"}},
		"a contract on an SDK":           {"pkg/queue": {sdk}},
		"an SDK outside the adapters":    {"pkg/config": {sdk}},
		"an adapter of the other SDK":    {"pkg/queue/sqsqueue": {client}},
		"an adapter on another":          {"pkg/queue/sqsqueue": {"pkg/claimcheck/s3store"}},
		"an adapter on another contract": {"pkg/lease/redislease": {"pkg/ledger"}},
		"a clock in policy":              {"pkg/fair": {"time"}},
		"the stack in production":        {"cmd/worker": {"cmd/internal/wire"}, "cmd/internal/wire": {"pkg/localaws"}},
		"the embedded Redis elsewhere":   {"cmd/scriptfleet": {miniredis + "/v2"}},
		"a second metrics page":          {"worker": {"github.com/prometheus/client_golang/prometheus/promhttp"}},
		"a suite outside tests":          {"pkg/builds": {"pkg/lease/leasetest"}},
		"a part in memory outside tests": {"cmd/worker": {"pkg/ledger/memledger"}},
		"testing outside tests":          {"pkg/builds": {"testing"}},
	} {
		if len(breaches(g)) == 0 {
			t.Errorf("%s: no breach found", name)
		}
	}
	ok := graph{
		"worker": {"pkg/queue", "time"}, "pkg/queue/sqsqueue": {sdk, "pkg/queue", "pkg/run"},
		"pkg/lease/leasetest": {"testing", "pkg/lease"}, "cmd/internal/wire": {sdk, client, "worker", "dispatcher"},
	}
	if found := breaches(ok); len(found) > 0 {
		t.Errorf("what is allowed is a breach: %q", found)
	}
}

// breaches describes the imports that break a rule.
func breaches(g graph) []string {
	var found []string
	for _, pkg := range slices.Sorted(maps.Keys(g)) {
		for _, r := range slices.Concat(rules, adapterRules()) {
			if matches(r.of, pkg) && !matches(r.except, pkg) {
				found = append(found, g.breachesOf(r, pkg)...)
			}
		}
		for _, imported := range g[pkg] {
			if _, adapter := adapters[pkg]; adapter && local(imported) && !mayAdapterImport(pkg, imported) {
				found = append(found, fmt.Sprintf("%s imports %s: an adapter knows its contract, and no other part", pkg, imported))
			}
			if (local(imported) && (isSuite(imported) || isInMemory(imported)) || imported == "testing") && !isSuite(pkg) {
				found = append(found, fmt.Sprintf("%s imports %s: it is for tests", pkg, imported))
			}
		}
	}
	return found
}

func (g graph) breachesOf(r rule, pkg string) (found []string) {
	for imported, way := range g.imports(pkg, r.transitive) {
		if matches(r.forbid, imported) {
			found = append(found, fmt.Sprintf("%s imports %s: %s", way, imported, r.because))
		}
	}
	slices.Sort(found)
	return found
}

// imports maps each import of a package to the chain of packages through which
// it is imported.
func (g graph) imports(pkg string, transitive bool) map[string]string {
	ways := map[string]string{}
	var walk func(pkg, way string)
	walk = func(pkg, way string) {
		for _, imported := range g[pkg] {
			if _, seen := ways[imported]; seen {
				continue
			}
			ways[imported] = way
			if transitive {
				walk(imported, way+" → "+imported)
			}
		}
	}
	walk(pkg, pkg)
	return ways
}

// local tells whether an import is a package of the module.
func local(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return slices.Contains([]string{"cmd", "dispatcher", "worker", "pkg", "internal", "dashboards", "deploy"}, first)
}

// read parses the imports of all Go files below root, for every operating
// system.
func read(root string) (graph, error) {
	g := graph{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		return g.add(root, file)
	})
	return g, err
}

func (g graph) add(root, file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if os.IsNotExist(err) { // removed after it was listed
		return nil
	}
	if err != nil {
		return err
	}
	dir, err := filepath.Rel(root, filepath.Dir(file))
	if err != nil {
		return err
	}
	pkg := filepath.ToSlash(dir)
	g[pkg] = append(g[pkg], nil...)
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		imported = strings.TrimPrefix(imported, module)
		if !slices.Contains(g[pkg], imported) {
			g[pkg] = append(g[pkg], imported)
		}
	}
	return nil
}
