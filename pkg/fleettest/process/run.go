package process

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// Ended is the result of a program.
type Ended struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a program in a new folder until it ends, with any exit code.
func Run(t testing.TB, env []string, stdin, program string, args ...string) Ended {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, t.TempDir(), strings.NewReader(stdin), &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return Ended{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}
