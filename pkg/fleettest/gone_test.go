package fleettest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// TestRunTellsOnceThatItsFleetHasEnded kills the stack during a run, and then
// requests another run.
func TestRunTellsOnceThatItsFleetHasEnded(t *testing.T) {
	t.Parallel()
	stack, settings := StartLocal(t, shipped, program.Environment(ofTheTests()...))
	env := settings.Env(ofTheTests()...)
	slow := script(t, "import time\ndef main(input):\n    time.sleep(30)")
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), filepath.Join(shipped, "scriptfleet"), "run", slow, "--timeout", "40")
	cmd.Env, cmd.Stderr = env, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, Within, "the run does not begin", func() bool {
		return strings.Contains(command(t, env, "", "check").Stdout, "oldest open run")
	})
	stack.Send(syscall.SIGKILL)
	_ = cmd.Wait()
	oneSentence(t, stderr.String(), cmd.ProcessState.ExitCode(), "has ended")

	again := command(t, env, "", "run", slow)
	oneSentence(t, again.Stderr, again.Code, "has ended or moved")
}

func oneSentence(t *testing.T, stderr string, code int, part string) {
	t.Helper()
	_, stderr, _ = strings.Cut(stderr, "\n") // the first line says which fleet it is
	if code != 6 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "scriptfleet: ") || !strings.Contains(stderr, part) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
