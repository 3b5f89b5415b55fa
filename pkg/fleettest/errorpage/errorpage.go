// Package errorpage collects all errors for people from the source code: each
// type with its sentence and its place, on one page for comparison.
//
// It recognises three forms: a run.Error literal, a call of a function that
// makes an error of a given type, and a Failure of the function's handler. Of a
// composed sentence it shows the constant parts.
package errorpage

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Entry is one error in the source.
type Entry struct {
	Type, Owner, Message string
	Place                string // file, relative to the module's root
}

// maker is a function that makes errors, with where it takes the type and the
// sentence from.
type maker struct {
	kind, message part
	owner         string
}

// part of an error is an argument of its maker, by index, or a text.
type part struct {
	argument int // -1 for none
	text     string
}

type source struct {
	path string
	file *ast.File
}

// Collect reads all source files of the module, without tests.
func Collect(root string) ([]Entry, error) {
	sources, err := parse(root)
	if err != nil {
		return nil, err
	}
	c := collector{constants: map[string]string{}, makers: map[string]maker{}, made: map[ast.Node]bool{}}
	for _, s := range sources {
		c.learn(s)
	}
	for _, s := range sources {
		ast.Inspect(s.file, func(n ast.Node) bool { c.visit(s, n); return true })
	}
	if err := c.handler(root); err != nil {
		return nil, err
	}
	slices.SortFunc(c.found, func(a, b Entry) int { return strings.Compare(a.Type+a.Place+a.Message, b.Type+b.Place+b.Message) })
	return slices.Compact(c.found), nil
}

func parse(root string) ([]source, error) {
	var sources []source
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."), entry.IsDir() && entry.Name() == "fleettest", entry.IsDir() && entry.Name() == "localaws":
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse source: %w", err)
		}
		relative, err := filepath.Rel(root, path)
		sources = append(sources, source{filepath.ToSlash(relative), file})
		return err
	})
	return sources, err
}

type collector struct {
	constants map[string]string // of the whole module, by name
	makers    map[string]maker  // by package folder and name
	made      map[ast.Node]bool // the errors in the makers
	found     []Entry
}

// learn collects a file's constants, and its functions that make errors.
func (c *collector) learn(s source) {
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			c.learnConstants(d)
		case *ast.FuncDecl:
			c.learnMaker(s, d)
		}
	}
}

func (c *collector) learnConstants(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok || d.Tok != token.CONST {
			continue
		}
		for n, name := range v.Names {
			if n < len(v.Values) {
				if text, ok := c.text(v.Values[n]); ok {
					c.constants[name.Name] = text
				}
			}
		}
	}
}

func (c *collector) learnMaker(s source, d *ast.FuncDecl) {
	parameters := map[string]int{}
	for _, field := range d.Type.Params.List {
		for _, name := range field.Names {
			parameters[name.Name] = len(parameters)
		}
	}
	ast.Inspect(d, func(n ast.Node) bool {
		fields, ok := errorFields(n)
		if !ok {
			return true
		}
		m := maker{c.part(fields["Type"], parameters), c.part(fields["Message"], parameters), owner(fields["Owner"])}
		if m.kind.argument >= 0 || m.kind.text != "" && m.message.argument >= 0 {
			c.makers[filepath.Dir(s.path)+"."+d.Name.Name] = m
			c.made[n] = true
		}
		return true
	})
}

// part is what a maker takes an error's type or sentence from: a constant,
// where there is one, else the first parameter that is named.
func (c *collector) part(e ast.Expr, parameters map[string]int) part {
	p := part{argument: -1}
	if text, ok := c.text(e); ok {
		p.text = text
		return p
	}
	ast.Inspect(e, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok && p.argument < 0 {
			if at, ok := parameters[name.Name]; ok {
				p.argument = at
			}
		}
		return true
	})
	return p
}

// visit finds error literals and calls of makers.
func (c *collector) visit(s source, n ast.Node) {
	if fields, ok := errorFields(n); ok {
		if kind, ok := c.text(fields["Type"]); ok && !c.made[n] {
			c.add(s, kind, owner(fields["Owner"]), c.constant(fields["Message"]))
		}
		return
	}
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return
	}
	name, ok := call.Fun.(*ast.Ident)
	if !ok {
		return
	}
	m, ok := c.makers[filepath.Dir(s.path)+"."+name.Name]
	if !ok || len(call.Args) <= max(m.kind.argument, m.message.argument) {
		return
	}
	if kind := c.given(m.kind, call); kind != "" {
		c.add(s, kind, m.owner, c.given(m.message, call))
	}
}

// given is a part of the error that a call of its maker makes.
func (c *collector) given(p part, call *ast.CallExpr) string {
	if p.argument < 0 {
		return p.text
	}
	return c.constant(call.Args[p.argument])
}

// constant is what an expression says, empty where nothing of it is constant.
func (c *collector) constant(e ast.Expr) string {
	text, ok := c.text(e)
	if !ok {
		return ""
	}
	return text
}

func (c *collector) add(s source, kind, owner, message string) {
	c.found = append(c.found, Entry{kind, owner, cmp.Or(message, "…"), s.path})
}

// errorFields are the fields of a run.Error literal.
func errorFields(n ast.Node) (map[string]ast.Expr, bool) {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return nil, false
	}
	switch t := literal.Type.(type) {
	case *ast.Ident:
		ok = t.Name == "Error"
	case *ast.SelectorExpr:
		ok = t.Sel.Name == "Error"
	default:
		ok = false
	}
	fields := map[string]ast.Expr{}
	for _, e := range literal.Elts {
		if pair, isPair := e.(*ast.KeyValueExpr); isPair {
			if name, isName := pair.Key.(*ast.Ident); isName {
				fields[name.Name] = pair.Value
			}
		}
	}
	return fields, ok && fields["Type"] != nil && fields["Message"] != nil
}

// owner is author, operator or platform, or "" if it is not constant.
func owner(e ast.Expr) string {
	name := ""
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	}
	return strings.ToLower(strings.TrimPrefix(name, "Owner"))
}

// text is the constant part of an expression.
func (c *collector) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		text, ok := c.constants[e.Name]
		return text, ok
	case *ast.SelectorExpr:
		text, ok := c.constants[e.Sel.Name]
		return text, ok
	case *ast.BinaryExpr:
		left, isLeft := c.text(e.X)
		right, isRight := c.text(e.Y)
		if !isLeft {
			left = "…"
		}
		if !isRight {
			right = "…"
		}
		return left + right, isLeft || isRight
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" && len(e.Args) > 0 {
			return c.text(e.Args[0])
		}
	}
	return "", false
}

// failure matches a Failure of the handler: Failure("Type", "sentence" "…")
var (
	failure = regexp.MustCompile(`Failure\("(\w+)",\s*((?:"(?:[^"\\]|\\.)*"\s*)+)`)
	quoted  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

func (c *collector) handler(root string) error {
	files, err := filepath.Glob(filepath.Join(root, "pkg", "function", "handler", "*.py"))
	if err != nil {
		return fmt.Errorf("find the handler: %w", err)
	}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the handler: %w", err)
		}
		for _, m := range failure.FindAllStringSubmatch(string(body), -1) {
			message := ""
			for _, part := range quoted.FindAllString(m[2], -1) {
				text, err := strconv.Unquote(part)
				if err != nil {
					return fmt.Errorf("read the handler's sentence %s: %w", part, err)
				}
				message += text
			}
			c.found = append(c.found, Entry{m[1], "author", message, "pkg/function/handler/" + filepath.Base(path)})
		}
	}
	return nil
}

// Render returns the page.
func Render(found []Entry) string {
	var b strings.Builder
	b.WriteString("# What went wrong: every `error.type`, and what it says\n\n" +
		"Written by `go test ./pkg/fleettest/errorpage -update` out of the source. `%s` and `…` stand for what is only known when it\n" +
		"happens. Beside these, an error of a script's own class has that class's name as its type, and begins with\n" +
		"*main raised* or *Importing the script raised*.\n\n| type | to mend by | what it says | where it is worded |\n|---|---|---|---|\n")
	for _, e := range found {
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` |\n", e.Type, e.Owner, strings.NewReplacer("|", "\\|", "\n", " ").Replace(e.Message), e.Place)
	}
	return b.String()
}
