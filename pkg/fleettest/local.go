package fleettest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// Within bounds each wait for a fleet. Only a failure takes as long: even on a
// loaded machine a success takes a fraction of it.
const Within = 2 * time.Minute

// LocalArgs are the arguments of an embedded stack on free ports, which writes
// its settings for other processes into envFile.
func LocalArgs(envFile string, more ...string) []string {
	return append([]string{"local", "--aws-addr", "127.0.0.1:0", "--redis-addr", "127.0.0.1:0",
		"--admin-addr", "127.0.0.1:0", "--env-file", envFile}, more...)
}

// StartLocal starts an embedded stack as a process, from the folder of the
// binaries, and waits until it can be called.
func StartLocal(t testing.TB, bin string, env []string, args ...string) (*process.Process, Settings) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "env")
	p := process.Start(t, env, filepath.Join(bin, "scriptfleet"), LocalArgs(file, args...)...)
	return p, AwaitSettings(t, p, file)
}

// AwaitSettings waits until a stack has written its settings.
func AwaitSettings(t testing.TB, p *process.Process, file string) (set Settings) {
	t.Helper()
	wait.Until(t, Within, "scriptfleet local does not come up", func() bool {
		if p.Gone() {
			t.Fatal("scriptfleet local has ended")
		}
		set = ReadSettings(file)
		return len(set) > 0
	})
	return set
}

// Settings are the variables that an embedded stack prints for other processes.
type Settings map[string]string

var export = regexp.MustCompile(`(?m)^export (\w+)='(.*)'$`)

// ReadSettings reads a stack's file; the result is empty before the file is
// written.
func ReadSettings(file string) Settings {
	lines, _ := os.ReadFile(file)
	set := Settings{}
	for _, m := range export.FindAllStringSubmatch(string(lines), -1) {
		set[m[1]] = m[2]
	}
	return set
}

// Lines are the settings as NAME=value.
func (s Settings) Lines() []string {
	var lines []string
	for name, value := range s {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	return lines
}

// Env is the environment of a process that uses the stack.
func (s Settings) Env(more ...string) []string {
	return program.Environment(append(s.Lines(), more...)...)
}

// Config is an SDK configuration for the stack.
func (s Settings) Config() aws.Config {
	return s.ConfigWith(s["AWS_ACCESS_KEY_ID"], s["AWS_SECRET_ACCESS_KEY"], "")
}

// ConfigWith is Config with other keys.
func (s Settings) ConfigWith(id, secret, token string) aws.Config {
	return aws.Config{
		Region: s["AWS_REGION"], BaseEndpoint: aws.String(s["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	}
}
