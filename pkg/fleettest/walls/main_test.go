package walls

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

// The one who tries, and the one who is to be left alone. The first's name
// begins the second's.
const (
	tenantA = "ac"
	tenantB = "acme"
)

// The roles of their credentials. Both tenants have one that is named prod.
const (
	roleA = "arn:aws:iam::111111111111:role/a-prod"
	roleB = "arn:aws:iam::222222222222:role/b-prod"
)

const settings = `{"tenants": {
	"ac":   {"external_id": "aaaaaaaaaaaaaaaaaaaa", "credentials": {
		"prod":   {"role_arn": "arn:aws:iam::111111111111:role/a-prod"},
		"ours":   {"role_arn": "arn:aws:iam::123456789012:role/scriptfleet-tenant"}}},
	"acme": {"external_id": "bbbbbbbbbbbbbbbbbbbb", "credentials": {
		"prod":   {"role_arn": "arn:aws:iam::222222222222:role/b-prod"},
		"secret": {"role_arn": "arn:aws:iam::222222222222:role/b-secret"}}}}}`

// within bounds each wait: there for what never comes.
const within = 2 * time.Minute

// fleet is the whole of it in one process of its own, as scriptfleet local runs
// it: what other processes know of it, and what only it knows.
var fleet struct {
	*mailbox
	dir, data string // its files: data is its data folder
	pid       int
	admin     string // host:port of its metrics
	set       map[string]string
	exited    chan struct{}
}

func TestMain(m *testing.M) {
	sandbox.Main() // the tests ask which walls this machine gives
	os.Exit(runTests(m))
}

func runTests(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "walls-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	stop, err := startFleet(dir)
	if err == nil {
		defer stop()
		code = m.Run()
		err = errors.Join(fleet.mailbox.close(), alive())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if said, _ := os.ReadFile(filepath.Join(dir, "log")); code != 0 {
		fmt.Fprintf(os.Stderr, "the fleet said:\n%s\n", said[max(0, len(said)-6000):])
	}
	return code
}

// alive fails where something that a script did ended the fleet.
func alive() error {
	select {
	case <-fleet.exited:
		return errors.New("the fleet's process is gone")
	default:
		return nil
	}
}

func startFleet(dir string) (stop func(), err error) {
	fleet.dir, fleet.data = dir, filepath.Join(dir, "data")
	binary, file, tenants := filepath.Join(dir, "scriptfleet"), filepath.Join(dir, "env"), filepath.Join(dir, "tenants.json")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "../../../cmd/scriptfleet")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := os.WriteFile(tenants, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	index := startIndex()
	uv, err := program.Tool("uv")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "local", "--aws-addr", "127.0.0.1:0", "--redis-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		"--partitions", "2", "--poll-wait", "1s", "--drain", "1s", "--data", fleet.data, "--env-file", file, "--tenants", tenants,
		"--index", index.URL+"/simple", "--uv", uv, "--log-format", "json")
	cmd.Env = append(environment(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	cmd.Stderr, cmd.SysProcAttr = log, dieWithParent()
	if err := startOnItsThread(cmd); err != nil {
		return nil, err
	}
	fleet.pid = cmd.Process.Pid
	stop = func() {
		index.Close()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-fleet.exited:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-fleet.exited
		}
	}
	if err := meetFleet(file, log.Name()); err != nil {
		stop()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	return stop, nil
}

// startOnItsThread starts a process that the kernel ends with the thread that
// made it, and so keeps that.
func startOnItsThread(cmd *exec.Cmd) error {
	fleet.exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(fleet.exited)
		}
	}()
	return <-started
}

var (
	export  = regexp.MustCompile(`(?m)^export (\w+)='(.*)'$`)
	toldOf  = regexp.MustCompile(`"admin":"([^"]+)"`)
	errSlow = errors.New("scriptfleet local does not come up")
)

// meetFleet waits until the fleet has said where it is.
func meetFleet(envFile, logFile string) (err error) {
	up := poll(func() bool {
		exports, _ := os.ReadFile(envFile)
		fleet.set = map[string]string{}
		for _, m := range export.FindAllStringSubmatch(string(exports), -1) {
			fleet.set[m[1]] = m[2]
		}
		said, _ := os.ReadFile(logFile)
		if m := toldOf.FindSubmatch(said); m != nil {
			fleet.admin = string(m[1])
		}
		return len(fleet.set) > 0 && fleet.admin != "" || alive() != nil
	})
	if err := alive(); err != nil || !up {
		return errors.Join(errSlow, err)
	}
	fleet.mailbox, err = openMailbox()
	return err
}

// environment is the machine's own, without what would point elsewhere.
func environment() (all []string) {
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "AWS_") && !strings.HasPrefix(line, "SCRIPTFLEET_") && !strings.HasPrefix(line, "REDIS_URL=") {
			all = append(all, line)
		}
	}
	return all
}

// root is the configuration of the fleet's own key.
func root() aws.Config {
	return withKey(fleet.set["AWS_ACCESS_KEY_ID"], fleet.set["AWS_SECRET_ACCESS_KEY"], "")
}

func withKey(id, secret, token string) aws.Config {
	return aws.Config{
		Region: fleet.set["AWS_REGION"], BaseEndpoint: aws.String(fleet.set["AWS_ENDPOINT_URL"]),
		Credentials:      credentials.NewStaticCredentialsProvider(id, secret, token),
		RetryMaxAttempts: 1,
	}
}

// secrets are what no script may ever see.
func secrets() []string {
	_, redis, _ := strings.Cut(fleet.set["REDIS_URL"], "redis://:")
	password, _, _ := strings.Cut(redis, "@")
	return []string{fleet.set["AWS_SECRET_ACCESS_KEY"], fleet.set["AWS_ACCESS_KEY_ID"], password}
}

// redisAddr is where the fleet's Redis listens.
func redisAddr() string {
	_, addr, _ := strings.Cut(fleet.set["REDIS_URL"], "@")
	return strings.TrimSuffix(addr, "/0")
}

// poll tells whether ok came true in time.
func poll(ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(within); ; {
		if ok() {
			return true
		}
		select {
		case <-tick.C:
		case <-late:
			return false
		}
	}
}

func eventually(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	if !poll(ok) {
		t.Fatalf("%s within %s", otherwise, within)
	}
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
