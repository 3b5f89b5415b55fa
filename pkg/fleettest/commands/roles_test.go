package commands

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// TestOperatorsMayDoWhatTheirCommandsCallAndNoMore compares the operators' role
// in the template with the calls that the commands make.
func TestOperatorsMayDoWhatTheirCommandsCallAndNoMore(t *testing.T) {
	t.Parallel()
	l := startLocal(t, environment(), "--poll-wait", "1s")
	tap := tapCalls(t, value(l.env, "AWS_ENDPOINT_URL"))
	env := append(slices.Clone(l.env), "AWS_ENDPOINT_URL="+tap.url)
	script := files.Write(t, "script.py", "def main(input):\n    return 1")
	l.send(t, "junk", "more junk")
	var letters []struct{ ID string }
	wait.Until(t, within, "the letters do not come", func() bool {
		letters = lines[struct{ ID string }](t, scriptfleet(t, l.env, "dlq", "list", "--requests", "--json", "--look", "1s"))
		return len(letters) == 2
	})
	for _, args := range [][]string{
		{"functions", "build", script, "--tenant", "acme"}, {"functions", "list"}, {"functions", "remove", "--older-than", "0s"},
		{"dlq", "list", "--look", "1s"}, {"dlq", "redrive", letters[0].ID, "--requests", "--look", "3s"}, {"dlq", "delete", "--all", "--requests", "--look", "3s"},
		{"check"}, {"status"},
	} {
		scriptfleet(t, env, args...).says(t, 0)
	}

	template := readTemplate(t)
	operators, stories := template.allows(t, "OperatorPolicy"), template.allows(t, "StoriesPolicy")
	used := map[string]bool{}
	for _, c := range tap.seen() {
		used[c.action] = true
		if !slices.ContainsFunc(append(operators, stories...), c.isAllowedBy) {
			t.Errorf("the commands call %s of %s, which their role may not", c.action, c.of)
		}
	}
	for _, g := range operators {
		if !used[g.action] && !strings.HasPrefix(g.action, "s3:") { // S3 is for dead letters above 1 MiB
			t.Errorf("the role may %s of %s, which no command calls", g.action, g.of)
		}
	}
}

// awsCall is a call of AWS: its action in policies, and the name of a queue or
// a function, or the key of an object.
type awsCall struct{ action, of string }

func (c awsCall) isAllowedBy(g awsCall) bool {
	ok, err := path.Match(strings.ReplaceAll(g.of, "/", ":"), strings.ReplaceAll(c.of, "/", ":"))
	return g.action == c.action && ok && err == nil
}

// tap is a proxy in front of an AWS endpoint that records the calls.
type tap struct {
	url string

	mu    sync.Mutex
	calls []awsCall
}

func tapCalls(t *testing.T, endpoint string) *tap {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // the signature covers it
	}}
	p := &tap{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		p.mu.Lock()
		p.calls = append(p.calls, callOf(r, body))
		p.mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *tap) seen() []awsCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

func callOf(r *http.Request, body []byte) awsCall {
	if op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."); ok {
		var in struct{ QueueUrl, QueueName string } //nolint:revive // AWS's own names
		_ = json.Unmarshal(body, &in)
		return awsCall{"sqs:" + strings.TrimSuffix(op, "Batch"), path.Base(in.QueueUrl + in.QueueName)}
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions"); ok {
		name = strings.TrimPrefix(name, "/")
		action := map[string]string{"GET": "GetFunction", "DELETE": "DeleteFunction"}[r.Method]
		if name == "" {
			action = "ListFunctions"
		}
		return awsCall{"lambda:" + action, name}
	}
	return awsCall{r.Method, r.URL.Path} // no command makes others here
}

// template is the CloudFormation template's resources, by name.
type template struct {
	Resources map[string]yaml.Node `yaml:"Resources"`
}

func readTemplate(t *testing.T) (tpl template) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(files.Read(t, "../../../deploy/cloudformation.yaml")), &tpl); err != nil {
		t.Fatal(err)
	}
	return tpl
}

// allows are the actions of a policy, each with a pattern of names.
func (tpl template) allows(t *testing.T, policy string) (all []awsCall) {
	t.Helper()
	type statement struct {
		Action   yaml.Node `yaml:"Action"`
		Resource yaml.Node `yaml:"Resource"`
	}
	var p struct {
		Properties struct {
			Document struct {
				Statements []statement `yaml:"Statement"`
			} `yaml:"PolicyDocument"`
		} `yaml:"Properties"`
	}
	node := tpl.Resources[policy]
	if err := node.Decode(&p); err != nil || len(p.Properties.Document.Statements) == 0 {
		t.Fatalf("read %s: %v", policy, err)
	}
	for _, s := range p.Properties.Document.Statements {
		for _, action := range scalars(s.Action) {
			for _, resource := range scalars(s.Resource) {
				all = append(all, awsCall{action.Value, tpl.resource(resource)})
			}
		}
	}
	return all
}

func scalars(n yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{&n}
}

var queueName = regexp.MustCompile(`QueueName: !Sub "?\$\{Prefix\}(-[a-z-]+)"?`)

// resource is the end of an ARN, for the prefix scriptfleet.
func (tpl template) resource(n *yaml.Node) string {
	if n.Tag == "!GetAtt" {
		node := tpl.Resources[strings.TrimSuffix(n.Value, ".Arn")]
		text, _ := yaml.Marshal(&node)
		if m := queueName.FindSubmatch(text); m != nil {
			return "scriptfleet" + string(m[1])
		}
		return n.Value
	}
	name := n.Value[strings.LastIndex(n.Value, ":")+1:]
	return strings.ReplaceAll(name, "${Prefix}", "scriptfleet")
}
