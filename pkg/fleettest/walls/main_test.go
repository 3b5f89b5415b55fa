package walls

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// tenantA attacks, tenantB is attacked. A's name is a prefix of B's.
const (
	tenantA = "ac"
	tenantB = "acme"
)

// The roles of their credentials. Both tenants have a credential named prod.
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

// fleet is the fleet's process, as scriptfleet local runs it: what other
// processes know of it, and its secrets.
var fleet struct {
	*fleettest.Mailbox
	*process.Child
	dir, data string // its files; data is its data folder
	admin     string // host:port of its admin server
	set       fleettest.Settings
}

func TestMain(m *testing.M) {
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
		err = errors.Join(alive(), fleet.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if said, _ := os.ReadFile(filepath.Join(dir, "log")); code != 0 {
		fmt.Fprintf(os.Stderr, "the fleet said:\n%s\n", process.Telling(string(said)))
	}
	return code
}

// alive fails if a script has ended the fleet.
func alive() error {
	if fleet.Gone() {
		return errors.New("the fleet's process is gone")
	}
	return nil
}

func startFleet(dir string) (stop func(), err error) {
	fleet.dir, fleet.data = dir, filepath.Join(dir, "data")
	file, tenants := filepath.Join(dir, "env"), filepath.Join(dir, "tenants.json")
	uv, errTool := program.Tool("uv")
	log, errLog := os.Create(filepath.Join(dir, "log"))
	if err := errors.Join(errTool, errLog, os.WriteFile(tenants, []byte(settings), 0o600),
		program.Build(filepath.Join(dir, "bin"), false, "scriptfleet")); err != nil {
		return nil, err
	}
	defer log.Close() // the fleet has its own descriptor
	index := startIndex()
	cmd := exec.Command(filepath.Join(dir, "bin", "scriptfleet"), fleettest.LocalArgs(file,
		"--partitions", "2", "--poll-wait", "1s", "--drain", "1s", "--data", fleet.data, "--tenants", tenants,
		"--role", "prod", // of both tenants, with every permission in their own accounts
		"--index", index.URL+"/simple", "--uv", uv, "--log-format", "json", "--log-level", "debug")...)
	// Env runners have walls of their own: see runner_test.go.
	cmd.Env, cmd.Stderr = program.Environment("XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "SCRIPTFLEET_ENV_RUNNER=off"), log
	fleet.Child, err = process.Launch(cmd)
	if err != nil {
		return nil, err
	}
	stop = func() {
		index.Close()
		fleet.Stop(20 * time.Second)
	}
	if err := meetFleet(file, log.Name()); err != nil {
		stop()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	return stop, nil
}

// meetFleet waits until the fleet has written its addresses.
func meetFleet(envFile, logFile string) (err error) {
	up := wait.Soon(fleettest.Within, func() bool {
		said, _ := os.ReadFile(logFile)
		fleet.set, fleet.admin = fleettest.ReadSettings(envFile), process.AdminOf(string(said))
		return len(fleet.set) > 0 && fleet.admin != "" || fleet.Gone()
	})
	if err := alive(); err != nil || !up {
		return errors.Join(errors.New("scriptfleet local does not come up"), err)
	}
	fleet.Mailbox, err = fleettest.OpenMailbox(fleettest.MailboxConfig{AWS: root(), Bucket: fleet.set["SCRIPTFLEET_BUCKET"]})
	return err
}

// root is an SDK configuration with the fleet's root key.
func root() aws.Config {
	return withKey(fleet.set["AWS_ACCESS_KEY_ID"], fleet.set["AWS_SECRET_ACCESS_KEY"], "")
}

func withKey(id, secret, token string) aws.Config {
	cfg := fleet.set.ConfigWith(id, secret, token)
	cfg.RetryMaxAttempts = 1
	return cfg
}

// secrets are values that no script may see.
func secrets() []string {
	_, redis, _ := strings.Cut(fleet.set["REDIS_URL"], "redis://:")
	password, _, _ := strings.Cut(redis, "@")
	return []string{fleet.set["AWS_SECRET_ACCESS_KEY"], fleet.set["AWS_ACCESS_KEY_ID"], password}
}

// redisAddr is the address of the fleet's Redis.
func redisAddr() string {
	_, addr, _ := strings.Cut(fleet.set["REDIS_URL"], "@")
	return strings.TrimSuffix(addr, "/0")
}
