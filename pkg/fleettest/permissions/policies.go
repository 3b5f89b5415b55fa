package permissions

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
)

// free is the action that AWS allows everybody.
const free = "sts:GetCallerIdentity"

// Enough fails the test for each call that no policy allows.
func Enough(t *testing.T, calls, allowed []Call) {
	t.Helper()
	told := map[Call]bool{}
	for _, c := range calls {
		if !told[c] && c.Action != free && !slices.ContainsFunc(allowed, c.isAllowedBy) {
			t.Errorf("%s of %s is called, and not allowed", c.Action, c.Of)
			told[c] = true
		}
	}
}

// NoMore fails the test for each action that is allowed and was not called,
// unless uncalled gives the reason.
func NoMore(t *testing.T, allowed, calls []Call, uncalled map[string]string) {
	t.Helper()
	called := map[string]bool{}
	for _, c := range calls {
		called[c.Action] = true
	}
	for _, g := range allowed {
		if !called[g.Action] && uncalled[g.Action] == "" {
			t.Errorf("%s of %s is allowed, and nothing calls it", g.Action, g.Of)
		}
	}
	for action := range uncalled {
		if !slices.ContainsFunc(allowed, func(g Call) bool { return g.Action == action }) {
			t.Errorf("%s is not allowed: it needs no reason", action)
		}
	}
}

func (c Call) isAllowedBy(g Call) bool {
	ok, err := path.Match(strings.ReplaceAll(g.Of, "/", ":"), strings.ReplaceAll(c.Of, "/", ":"))
	return g.Action == c.Action && ok && err == nil
}

// Template is a CloudFormation template's resources, by name.
type Template struct {
	Resources map[string]yaml.Node `yaml:"Resources"`
}

// ReadTemplate reads a template.
func ReadTemplate(t *testing.T, file string) (tpl Template) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(files.Read(t, file)), &tpl); err != nil {
		t.Fatal(err)
	}
	return tpl
}

type document struct {
	Statements []struct {
		Effect   string    `yaml:"Effect"`
		Action   yaml.Node `yaml:"Action"`
		Resource yaml.Node `yaml:"Resource"`
	} `yaml:"Statement"`
}

// Allows are the actions that a policy, or a role's own policies, allow, each
// with a pattern of names, for the prefix scriptfleet.
func (tpl Template) Allows(t *testing.T, name string) (all []Call) {
	t.Helper()
	var p struct {
		Properties struct {
			Document document `yaml:"PolicyDocument"`
			Policies []struct {
				Document document `yaml:"PolicyDocument"`
			} `yaml:"Policies"`
		} `yaml:"Properties"`
	}
	node := tpl.Resources[name]
	if err := node.Decode(&p); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	statements := p.Properties.Document.Statements
	for _, own := range p.Properties.Policies {
		statements = append(statements, own.Document.Statements...)
	}
	for _, s := range statements {
		if s.Effect != "Allow" {
			continue
		}
		for _, action := range scalars(s.Action) {
			for _, resource := range scalars(s.Resource) {
				all = append(all, Call{action.Value, tpl.resource(resource)})
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s allows nothing", name)
	}
	return all
}

func scalars(n yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{&n}
}

var (
	queueName = regexp.MustCompile(`QueueName: !Sub "?\$\{Prefix\}(-[a-z-]+)"?`)
	// afterAccount matches an ARN up to what it names within an account.
	afterAccount = regexp.MustCompile(`^arn:.*:(\$\{AWS::AccountId\}|\*):`)
)

// resource is what an ARN names.
func (tpl Template) resource(n *yaml.Node) string {
	if n.Tag == "!GetAtt" {
		node := tpl.Resources[strings.TrimSuffix(n.Value, ".Arn")]
		text, _ := yaml.Marshal(&node)
		if m := queueName.FindSubmatch(text); m != nil {
			return "scriptfleet" + string(m[1])
		}
		return n.Value
	}
	name := strings.TrimPrefix(afterAccount.ReplaceAllString(n.Value, ""), "${Bodies.Arn}/")
	return strings.ReplaceAll(name, "${Prefix}", "scriptfleet")
}
