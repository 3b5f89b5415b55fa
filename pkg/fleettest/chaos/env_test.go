package chaos

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// ownEnv is the machine's own, without what would point a process elsewhere.
func ownEnv(t *testing.T) []string {
	t.Helper()
	uv, err := program.Tool("uv")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"SCRIPTFLEET_UV=" + uv, "XDG_CACHE_HOME=" + cache, "SCRIPTFLEET_DEFAULT_RUNTIME=" + newestRuntime(t)}
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "AWS_") && !strings.HasPrefix(line, "SCRIPTFLEET_") && !strings.HasPrefix(line, "REDIS_URL=") {
			env = append(env, line)
		}
	}
	return env
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

// newestRuntime is that of the newest Python here.
func newestRuntime(t *testing.T) string {
	t.Helper()
	name, err := findNewest()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
