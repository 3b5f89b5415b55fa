package fleettest

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// fleet is an embedded stack, as other processes see it.
type fleet struct {
	*mailbox
	t     *testing.T
	local *process
	set   map[string]string // what local printed for other processes
}

// startStack starts the embedded stack alone.
func startStack(t *testing.T) *fleet {
	t.Helper()
	return launch(t, shipped, "--no-fleet").withMailbox()
}

// startFleet starts the embedded stack with a dispatcher and a worker inside.
func startFleet(t *testing.T, args ...string) *fleet {
	t.Helper()
	return launchFleet(t, args...).withMailbox()
}

// launchFleet does the same, and leaves the results to another consumer.
func launchFleet(t *testing.T, args ...string) *fleet {
	t.Helper()
	return launch(t, checked, append([]string{"--partitions", "2", "--poll-wait", "1s"}, args...)...)
}

func launch(t *testing.T, dir string, args ...string) *fleet {
	t.Helper()
	file := filepath.Join(t.TempDir(), "env")
	args = append([]string{"local", "--aws-addr", "127.0.0.1:0", "--redis-addr", "127.0.0.1:0",
		"--admin-addr", "127.0.0.1:0", "--env-file", file}, args...)
	f := &fleet{t: t, local: start(t, filepath.Join(dir, "scriptfleet"), environment(), args...)}
	eventually(t, "scriptfleet local does not come up", func() bool {
		select {
		case <-f.local.exited:
			t.Fatal("scriptfleet local has ended")
		default:
		}
		exports, _ := os.ReadFile(file)
		f.set = parseExports(string(exports))
		return len(f.set) > 0
	})
	return f
}

func (f *fleet) withMailbox() *fleet {
	f.t.Helper()
	f.mailbox = openMailbox(f.t, f.config("AWS_ENDPOINT_URL"), f.set["SCRIPTFLEET_BUCKET"])
	return f
}

var export = regexp.MustCompile(`(?m)^export (\w+)='(.*)'$`)

func parseExports(lines string) map[string]string {
	set := map[string]string{}
	for _, m := range export.FindAllStringSubmatch(lines, -1) {
		set[m[1]] = m[2]
	}
	return set
}

// env is that of a process that uses the fleet.
func (f *fleet) env(more ...string) []string {
	var lines []string
	for name, value := range f.set {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	return environment(append(lines, more...)...)
}

// config is how the SDK reaches the stack.
func (f *fleet) config(endpoint string) aws.Config {
	return aws.Config{
		Region: f.set["AWS_REGION"], BaseEndpoint: aws.String(f.set[endpoint]),
		Credentials: credentials.NewStaticCredentialsProvider(f.set["AWS_ACCESS_KEY_ID"], f.set["AWS_SECRET_ACCESS_KEY"], ""),
	}
}

// dispatcher starts one as a process.
func (f *fleet) dispatcher(args ...string) *process {
	f.t.Helper()
	return f.process("dispatcher", nil, args...)
}

// worker starts one as a process, with layers of its own.
func (f *fleet) worker(args ...string) *process {
	f.t.Helper()
	return f.workerWith(nil, args...)
}

// workerWith starts one with more in its environment.
func (f *fleet) workerWith(env []string, args ...string) *process {
	f.t.Helper()
	return f.process("worker", env, append([]string{"--cache-dir", f.t.TempDir()}, args...)...)
}

func (f *fleet) process(name string, env []string, args ...string) *process {
	f.t.Helper()
	args = append([]string{"--admin-addr", "127.0.0.1:0", "--poll-wait", "1s"}, args...)
	p := start(f.t, filepath.Join(shipped, name), f.env(env...), args...)
	p.admin()
	return p
}

// functions are the names of those that the embedded Lambda has.
func (f *fleet) functions() (names []string) {
	f.t.Helper()
	client := lambda.NewFromConfig(f.config("AWS_ENDPOINT_URL"))
	pages := lambda.NewListFunctionsPaginator(client, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		for _, fn := range page.Functions {
			names = append(names, *fn.FunctionName)
		}
	}
	return names
}

// metric reads a value of a process's metrics; series is its name with labels as
// they stand on the page.
func (p *process) metric(series string) float64 {
	p.t.Helper()
	resp, err := http.Get("http://" + p.admin() + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindSubmatch(page)
	if m == nil {
		p.t.Fatalf("%s has no metric %s", p.name, series)
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}
