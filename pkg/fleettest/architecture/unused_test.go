package architecture

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

// exportedFor lists exported things that the program does not use, with the
// reason for each.
var exportedFor = map[string][]string{
	"tests set a bound that in production would take them too long, or too much": {
		"pkg/builds.Config.AwaitTimeout", "pkg/builds.Config.BuildTimeout", "pkg/builds.Config.CallTimeout", "pkg/builds.Config.LeaseTTL",
		"pkg/builds.Config.MaxKnown", "pkg/builds.Config.MaxTransientFailure", "pkg/builds.Config.PermanentFailure",
		"pkg/builds.Config.RecordTTL", "pkg/builds.Config.TransientFailure",
		"pkg/claimcheck.Config.MaxBody", "pkg/claimcheck.Config.Threshold",
		"pkg/credential.AssumerConfig.MaxKept", "pkg/credential.SessionsConfig.MaxKept",
		"pkg/layer.Config.CacheBytes", "pkg/layer.Config.Downloads", "pkg/layer.Config.MaxUnpackedBytes", "pkg/layer.Config.Timeout",
		"pkg/ledger/redisledger.Config.Keep", "pkg/ledger/redisledger.Config.PutBack", "pkg/ledger/redisledger.Config.Remember",
		"pkg/ledger/redisledger.Config.Recent", "pkg/ledger/redisledger.Config.RecentFor",
		"pkg/ledger/redisledger.Config.Timeout", "pkg/slot/redisslot.Config.Timeout",
		"pkg/localaws/lambda.Config.CodeStorage", "pkg/localaws/lambda.Config.ControlRate", "pkg/localaws/lambda.Config.GetFunctionRate",
		"pkg/localaws/lambda.Config.IdleTimeout", "pkg/localaws/lambda.Config.MaxConcurrency", "pkg/localaws/lambda.Config.MaxWarm",
		"pkg/localaws/lambda.Config.PendingFor", "pkg/localaws.Config.Lambda",
		"pkg/ratelimit/redisratelimit.Config.AwayFor", "pkg/ratelimit/redisratelimit.Config.Patience", "pkg/ratelimit/redisratelimit.Config.Workers",
		"pkg/run.PolicyConfig.DefaultTimeoutSeconds", "pkg/tenant.Config.Every",
	},
	"a queue's own function sets them; tests set others": {
		"pkg/claimcheck.Config.Foreign", "pkg/claimcheck.Config.Prefix",
	},
	"chaos makes the embedded stack fail": {
		"pkg/localaws.Stack.LambdaFaults", "pkg/localaws.Stack.QueueFaults", "pkg/localaws/faults.Set.Clear",
		"pkg/localaws/lambda.ServerError",
	},
	"tests give the embedded stack a place, roles and policies of their own": {
		"pkg/localaws.Config.CacheDir", "pkg/localaws.Config.Region", "pkg/localaws.Config.Roles", "pkg/localaws/auth.AllowAll",
	},
}

// published is the package that programs of others use.
const published = "pkg/client"

// A thing that is exported and used by tests only is a feature without users:
// use it in the program, unexport it, or remove it. Code for tests belongs in a
// suite.
func TestWhatPkgExportsIsUsedOutsideOfTests(t *testing.T) {
	found, reasons := checkModule(t).unused(), map[string]string{}
	for reason, names := range exportedFor {
		for _, name := range names {
			reasons[name] = reason
		}
	}
	for _, name := range found {
		if reasons[name] == "" {
			t.Errorf("%s: only tests use it", name)
		}
	}
	for name := range reasons {
		if !slices.Contains(found, name) {
			t.Errorf("%s is used outside of tests: take it off the list", name)
		}
	}
}

func TestWhatOnlyTestsUseIsFound(t *testing.T) {
	c := newChecked(token.NewFileSet(), nil)
	c.check(t, module+"pkg/x", `package x
type Config struct{ Set, Unset int; Tagged int "json:\"tagged\"" }
type Shape interface{ Area() int }
type Square struct{ Side int }
func (s *Square) Area() int { return s.Side }
func (s *Square) Grow() { s.Grow() }
func New(c Config) *Square { return &Square{c.Set + c.Unset} }
func Unused() *Square { return nil }
func (f Failure) Error() string { return "" }
func (f Failure) Unwrap() error { return nil }
type Failure struct{}
var Fault = Failure{}
`)
	c.check(t, module+"cmd/y", `package y
import "`+module+`pkg/x"
func main() { var s x.Shape = x.New(x.Config{Set: 1}); println(s.Area(), x.Fault) }
`)
	if got, want := c.unused(), []string{"pkg/x.Config.Unset", "pkg/x.Square.Grow", "pkg/x.Unused"}; !slices.Equal(got, want) {
		t.Errorf("it finds %q, not %q", got, want)
	}
}

// checked is the type-checked program, without tests and their suites.
type checked struct {
	fset     *token.FileSet
	others   types.Importer            // of packages of others
	pkgs     map[string]*types.Package // of the module
	imported map[string]*types.Package // all others
	uses     map[types.Object][]use
	faces    []*types.Interface
	methods  map[string]bool // the names of all functions and methods that are used
}

// use is a place of a use: the package, and there the function or the method
// with its type.
type use struct {
	pkg     string
	fn, typ types.Object
}

type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Module                  *struct{ Main bool }
}

func checkModule(t *testing.T) *checked {
	t.Helper()
	args := []string{"list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,Module"}
	if program.RaceDetector {
		args = append(args, "-race") // then a build with it is in the cache
	}
	cmd := exec.Command("go", append(args, "./cmd/...", "./pkg/...", "./dispatcher", "./worker")...)
	var problems bytes.Buffer
	cmd.Dir, cmd.Stderr = root, &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, problems.Bytes())
	}
	exports := map[string]string{}
	fset := token.NewFileSet()
	c := newChecked(fset, importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }))
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var l listed
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		exports[l.ImportPath] = l.Export
		if l.Module == nil || !l.Module.Main || isSuite(strings.TrimPrefix(l.ImportPath, module)) {
			continue
		}
		var sources []string
		for _, name := range l.GoFiles {
			sources = append(sources, files.Read(t, filepath.Join(l.Dir, name)))
		}
		c.check(t, l.ImportPath, sources...)
	}
	return c
}

func newChecked(fset *token.FileSet, others types.Importer) *checked {
	return &checked{
		fset: fset, others: others, pkgs: map[string]*types.Package{}, imported: map[string]*types.Package{},
		uses: map[types.Object][]use{}, methods: map[string]bool{},
	}
}

// Import is how a package that is checked finds those that it imports.
func (c *checked) Import(path string) (*types.Package, error) {
	if p := c.pkgs[strings.TrimPrefix(path, module)]; p != nil {
		return p, nil
	}
	p, err := c.others.Import(path)
	c.imported[path] = p
	return p, err
}

// check type-checks one package, and notes what it uses.
func (c *checked) check(t *testing.T, importPath string, sources ...string) {
	t.Helper()
	var parsed []*ast.File
	for _, source := range sources {
		f, err := parser.ParseFile(c.fset, importPath, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	p, err := (&types.Config{Importer: c}).Check(importPath, c.fset, parsed, info)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(importPath, module)
	c.pkgs[name] = p
	for _, f := range parsed {
		for _, decl := range f.Decls {
			c.note(name, decl, info)
		}
	}
}

// note records the uses within a declaration.
func (c *checked) note(pkg string, decl ast.Decl, info *types.Info) {
	in := placeOf(decl, info)
	in.pkg = pkg
	ast.Inspect(decl, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok || info.Uses[id] == nil {
			return true
		}
		used := origin(info.Uses[id])
		c.uses[used] = append(c.uses[used], in)
		if f, ok := used.(*types.Func); ok {
			c.methods[f.Name()] = true
		}
		return true
	})
}

// placeOf is the function that decl declares, if it does.
func placeOf(decl ast.Decl, info *types.Info) (in use) {
	if f, ok := decl.(*ast.FuncDecl); ok {
		in.fn = info.Defs[f.Name]
		if recv := in.fn.Type().(*types.Signature).Recv(); recv != nil {
			if named := namedOf(recv.Type()); named != nil {
				in.typ = named.Obj()
			}
		}
	}
	return in
}

func namedOf(t types.Type) *types.Named {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	named, _ := types.Unalias(t).(*types.Named)
	return named
}

// origin is the generic thing of which o is an instance.
func origin(o types.Object) types.Object {
	switch o := o.(type) {
	case *types.Func:
		return o.Origin()
	case *types.Var:
		return o.Origin()
	}
	return o
}

// interfaces are all interfaces of the packages, and error.
func (c *checked) interfaces() []*types.Interface {
	all := []*types.Interface{types.Universe.Lookup("error").Type().Underlying().(*types.Interface)}
	for _, pkgs := range []map[string]*types.Package{c.pkgs, c.imported} {
		for _, p := range pkgs {
			for _, name := range p.Scope().Names() {
				if i, ok := p.Scope().Lookup(name).Type().Underlying().(*types.Interface); ok && i.NumMethods() > 0 {
					all = append(all, i)
				}
			}
		}
	}
	return all
}

// unused are the exported things of pkg that only tests use.
func (c *checked) unused() (found []string) {
	c.faces = c.interfaces()
	for name, p := range c.pkgs {
		if !strings.HasPrefix(name, "pkg/") || isInMemory(name) || name == published {
			continue
		}
		for _, id := range p.Scope().Names() {
			o := p.Scope().Lookup(id)
			if !o.Exported() {
				continue
			}
			if !c.used(o) {
				found = append(found, name+"."+id)
				continue
			}
			if t, ok := o.(*types.TypeName); ok && !t.IsAlias() {
				for _, member := range c.unusedMembers(t) {
					found = append(found, name+"."+id+"."+member)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// used tells whether the program uses a thing outside of its own declaration
// and its own methods.
func (c *checked) used(o types.Object) bool {
	return slices.ContainsFunc(c.uses[o], func(u use) bool { return u.fn != o && u.typ != o })
}

func (c *checked) unusedMembers(t *types.TypeName) (found []string) {
	named := t.Type().(*types.Named)
	for m := range named.Methods() {
		if m.Exported() && !c.used(m) && !c.answers(named, m) && m.Name() != "Unwrap" { // errors.Is calls it
			found = append(found, m.Name())
		}
	}
	switch u := named.Underlying().(type) {
	case *types.Interface:
		for m := range u.ExplicitMethods() {
			if m.Exported() && !c.methods[m.Name()] {
				found = append(found, m.Name())
			}
		}
	case *types.Struct:
		for i := range u.NumFields() {
			f := u.Field(i)
			if f.Exported() && !f.Embedded() && u.Tag(i) == "" && !c.fieldUsed(t, f) {
				found = append(found, f.Name())
			}
		}
	}
	return found
}

// fieldUsed tells whether a field is used. A field of a Config, Deps or Options
// must be used by another package.
func (c *checked) fieldUsed(t *types.TypeName, f *types.Var) bool {
	setting := slices.ContainsFunc([]string{"Config", "Deps", "Options"}, func(end string) bool { return strings.HasSuffix(t.Name(), end) })
	return slices.ContainsFunc(c.uses[f], func(u use) bool { return !setting || module+u.pkg != t.Pkg().Path() })
}

// answers tells whether a method implements an interface's method.
func (c *checked) answers(named *types.Named, m *types.Func) bool {
	return slices.ContainsFunc(c.faces, func(i *types.Interface) bool {
		if o, _, _ := types.LookupFieldOrMethod(i, false, m.Pkg(), m.Name()); o == nil {
			return false
		}
		return named.TypeParams().Len() > 0 || types.Implements(types.NewPointer(named), i)
	})
}
