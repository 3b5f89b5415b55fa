package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

func TestCloudFormationAcceptsTheTemplate(t *testing.T) {
	accepts(t, "cfn-lint", "cloudformation.yaml")
}

func TestKubernetesAcceptsTheObjects(t *testing.T) {
	accepts(t, "kubernetes-validate", append([]string{"--strict", "--quiet"}, manifests(t)...)...)
}

func TestCloudFormationMakesTheQueuesThatTheFleetUses(t *testing.T) {
	template := files.Read(t, "cloudformation.yaml")
	has := map[string]bool{}
	for _, m := range regexp.MustCompile(`QueueName: !Sub "\$\{Prefix\}(-[^"]+)"`).FindAllStringSubmatch(template, -1) {
		for n := range 3 {
			has["p"+strings.ReplaceAll(m[1], "${Number}", fmt.Sprint(n))] = true
		}
	}
	names := queue.NamesOf("p", 3)
	for _, name := range names.All() {
		if !has[name] {
			t.Errorf("no queue %s", name)
		}
	}
	redrives := regexp.MustCompile(`RedrivePolicy: .*maxReceiveCount: (\d+)`).FindAllStringSubmatch(template, -1)
	if len(redrives) != 3 { // requests, each partition, the side partition
		t.Errorf("%d redrive policies", len(redrives))
	}
	for _, r := range redrives {
		if r[1] != fmt.Sprint(sqsqueue.MaxReceiveCount) {
			t.Errorf("maxReceiveCount is %s, the fleet's own is %d", r[1], sqsqueue.MaxReceiveCount)
		}
	}
}

func TestWorkersMayDoWhatTheAdapterOfLambdaCalls(t *testing.T) {
	template := files.Read(t, "cloudformation.yaml")
	for _, action := range []string{
		"CreateFunction", "TagResource", // functions are created with tags
		"GetFunction", "DeleteFunction", "PublishLayerVersion", "ListLayerVersions",
		"GetLayerVersion", // CreateFunction reads its layers with the caller's permissions
		"InvokeFunction",
	} {
		if !strings.Contains(template, `"lambda:`+action+`"`) {
			t.Errorf("no role may %s", action)
		}
	}
}

func TestRolesMayTellAnObjectThatIsMissingFromOneThatIsDenied(t *testing.T) {
	n := strings.Count(files.Read(t, "cloudformation.yaml"), `{Effect: Allow, Action: "s3:ListBucket", Resource: !GetAtt Bodies.Arn}`)
	if n != 4 { // dispatcher, worker, who pushes scripts, operators
		t.Errorf("%d roles may list the bucket: without that, S3 denies what is missing", n)
	}
}

func TestNoRuleOfTheBucketExpiresScripts(t *testing.T) {
	template := files.Read(t, "cloudformation.yaml")
	rules := regexp.MustCompile(`(?m)^ +- \{Id: .*ExpirationInDays.*$`).FindAllString(template, -1)
	if len(rules) != 4 {
		t.Errorf("%d rules expire objects: those of requests, runs, results and zips are known", len(rules))
	}
	for _, r := range rules {
		if !regexp.MustCompile(`Prefix: !Sub "\$\{Prefix\}/(requests|runs|results|zips)/"`).MatchString(r) {
			t.Errorf("the rule expires what it should not: %s", r)
		}
	}
	if n := strings.Count(template, `Action: "s3:GetObject", Resource: !Sub "${Bodies.Arn}/${Prefix}/scripts/*"`); n != 2 {
		t.Errorf("%d roles may read scripts, want the dispatcher's and the worker's", n)
	}
}

// metric matches the name of a metric or of a recorded series.
var metric = regexp.MustCompile(`\bscriptfleet(_[a-z0-9]+){2,}|\bscriptfleet(:[a-z0-9_]+){2}\b`)

// TestMetricsThatAreNamedAreThoseThatTheFleetHas looks for each name among the
// recorded series, and in the code, which contains the names of metrics whole,
// or as scriptfleet_<component>_ and the rest.
func TestMetricsThatAreNamedAreThoseThatTheFleetHas(t *testing.T) {
	recorded, code := files.Read(t, "../dashboards/recording.yml"), sources(t)
	for _, file := range append(manifests(t), "kubernetes/keda/scaledobject.yaml", "README.md", "cloudformation.yaml", "../docker-compose.yml") {
		for _, name := range metric.FindAllString(files.Read(t, file), -1) {
			component, rest, _ := strings.Cut(strings.TrimPrefix(name, "scriptfleet_"), "_")
			known := strings.Contains(recorded, "record: "+name+"\n") || strings.Contains(code, `"`+name+`"`) ||
				strings.Contains(code, `"scriptfleet_`+component+`_"`) && strings.Contains(code, `"`+rest+`"`)
			if !known {
				t.Errorf("%s names %s, which neither the rules nor the code have", file, name)
			}
		}
	}
}

// sources is the text of all Go files that are not tests.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"../cmd", "../dispatcher", "../worker", "../pkg"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				all.WriteString(files.Read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// object is the part of a Kubernetes object that the tests read.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template struct {
			Spec struct {
				TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
				Containers                    []container
			}
		}
	}
}

type container struct {
	Name, Image string
	Args        []string
	Env         []struct{ Name, Value string }
	Liveness    probe `yaml:"livenessProbe"`
	Readiness   probe `yaml:"readinessProbe"`
}

type probe struct {
	HTTP struct{ Path string } `yaml:"httpGet"`
}

func TestPodsRunFlagsAndVariablesThatTheBinariesTake(t *testing.T) {
	for _, o := range deployments(t) {
		c := o.Spec.Template.Spec.Containers[0]
		for name, value := range environment(t, c) {
			t.Setenv(name, value)
			if !takes(c.Name, name) {
				t.Errorf("%s is set for the %s, which has no flag of this name", name, c.Name)
			}
		}
		parses(t, o.Metadata.Name, c.Name, c.Args)
	}
}

func TestPodsAreGivenLongerThanTheirDrainAndTheLongestRun(t *testing.T) {
	for _, o := range deployments(t) {
		c := o.Spec.Template.Spec.Containers[0]
		s := parses(t, o.Metadata.Name, c.Name, c.Args)
		grace := time.Duration(o.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
		if grace <= s.Drain {
			t.Errorf("%s: %s of grace, and %s of drain", o.Metadata.Name, grace, s.Drain)
		}
		if longest := time.Duration(s.MaxTimeout) * time.Second; c.Name == "worker" && s.Drain <= longest {
			t.Errorf("%s: %s of drain, and runs of up to %s", o.Metadata.Name, s.Drain, longest)
		}
		if c.Liveness.HTTP.Path != "/healthz" || c.Readiness.HTTP.Path != "/readyz" {
			t.Errorf("%s: probes of %q and %q", o.Metadata.Name, c.Liveness.HTTP.Path, c.Readiness.HTTP.Path)
		}
		if !patchVersion.MatchString(c.Image) {
			t.Errorf("%s takes the image %s", o.Metadata.Name, c.Image)
		}
	}
}

// settings are the flags of all binaries; each binary has some of them.
type settings struct {
	config.Fleet
	config.Process
	config.Dispatcher
	config.Worker
}

// parses parses the arguments with the binary's own parser.
func parses(t *testing.T, where, binary string, args []string) settings {
	t.Helper()
	if binary == "dispatcher" {
		var s struct {
			config.Fleet
			config.Process
			config.Dispatcher
		}
		if _, err := config.Parse(&s, args, io.Discard, func(int) {}, config.Options(binary, "")...); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		return settings{Fleet: s.Fleet, Process: s.Process, Dispatcher: s.Dispatcher}
	}
	var s struct {
		config.Fleet
		config.Process
		config.Worker
	}
	if _, err := config.Parse(&s, args, io.Discard, func(int) {}, config.Options(binary, "")...); err != nil {
		t.Errorf("%s: %v", where, err)
	}
	return settings{Fleet: s.Fleet, Process: s.Process, Worker: s.Worker}
}

// takes tells whether a binary reads a variable of the fleet.
func takes(binary, name string) bool {
	if !strings.HasPrefix(name, "SCRIPTFLEET_") {
		return true
	}
	var help bytes.Buffer
	var all settings
	_, _ = config.Parse(&all, []string{"--help"}, &help, func(int) {}, config.Options(binary, "")...)
	return strings.Contains(help.String(), "$"+name)
}

// environment is a container's environment: its own, and the ConfigMap
// scriptfleet.
func environment(t *testing.T, c container) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, o := range objects(t) {
		if o.Kind == "ConfigMap" && o.Metadata.Name == "scriptfleet" {
			for name, value := range o.Data {
				env[name] = value
			}
		}
	}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	return env
}

func deployments(t *testing.T) []object {
	t.Helper()
	found := slices.DeleteFunc(objects(t), func(o object) bool { return o.Kind != "Deployment" })
	if len(found) != 2 {
		t.Fatalf("%d deployments", len(found))
	}
	return found
}

func objects(t *testing.T) (all []object) {
	t.Helper()
	for _, file := range manifests(t) {
		decoder := yaml.NewDecoder(strings.NewReader(files.Read(t, file)))
		for {
			var o object
			err := decoder.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, o)
		}
	}
	return all
}

func manifests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("kubernetes/base/[^k]*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("find Kubernetes objects: %v", err)
	}
	return files
}

// accepts runs a validator that `make setup` installs.
func accepts(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := program.Tool(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}
