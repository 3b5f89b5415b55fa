package chaos

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// ownEnv is the environment of every process, without the servers' addresses.
func ownEnv(t *testing.T, more ...string) []string {
	t.Helper()
	return program.Environment(append(more, "XDG_CACHE_HOME="+cache, "SCRIPTFLEET_DEFAULT_RUNTIME="+newestRuntime(t))...)
}

var findNewest = sync.OnceValues(func() (string, error) {
	set, err := interpreter.Default(context.Background())
	if err != nil {
		return "", err
	}
	newest, ok := set.Newest()
	if !ok {
		return "", errors.New("no Python is installed")
	}
	return "python" + newest.Minor, nil
})

// newestRuntime is the runtime of the newest installed Python.
func newestRuntime(t *testing.T) string {
	t.Helper()
	name, err := findNewest()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
