package fleettest

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestAProcessGoesOnWhenTheReaderOfItsLogIsGone(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	children := []*process.Child{f.unheard("dispatcher"), f.unheard("worker", "--cache-dir", t.TempDir())}
	for _, id := range []string{"one", "two", "three"} { // each settled run is a line in the log
		f.send(request(id, Data{Script: "def main(input):\n    return 1"}))
		if res := f.Await(t, id); res.Data.Status != run.Succeeded {
			t.Errorf("run %s: %s", id, res.Body)
		}
	}
	for _, c := range children {
		if c.Gone() {
			t.Fatalf("it has ended: %v", c.Err)
		}
		if err := c.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it does not stop", c.Gone)
		if c.Err != nil {
			t.Errorf("it stopped with %v", c.Err)
		}
	}
}

// unheard starts a process and reads its log only until the process takes work.
func (f *fleet) unheard(name string, args ...string) *process.Child {
	f.t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(shipped, name), append(args, "--admin-addr", "127.0.0.1:0", "--poll-wait", "1s")...)
	cmd.Env, cmd.Stderr, cmd.Stdout = f.env(), write, write
	child, err := process.Launch(cmd)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(child.Kill)
	write.Close()
	lines := bufio.NewScanner(read)
	for lines.Scan() && !strings.Contains(lines.Text(), name+" runs") {
	}
	read.Close()
	return child
}

func TestAProcessDrainsWhenItsTerminalCloses(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	dispatcher, worker := f.dispatcher(), f.worker()
	f.send(request("slow", Data{Script: "import time\ndef main(input):\n    time.sleep(8)\n    return 1"}))
	eventually(t, "the run does not begin", func() bool { return metric(t, worker.Admin(), "scriptfleet_worker_turns_in_use") == 1 })
	dispatcher.Send(syscall.SIGHUP)
	worker.Send(syscall.SIGHUP)
	worker.Send(syscall.SIGHUP) // a terminal may send it twice; the run keeps the worker
	eventually(t, "a worker that drains does not say so", func() bool {
		code, body := get(t, worker.Admin(), "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "it is stopping")
	})
	if metric(t, worker.Admin(), "scriptfleet_worker_turns_in_use") != 1 {
		t.Error("the run is not let finish, or the metrics of a worker that drains do not say so")
	}
	if res := f.Await(t, "slow"); res.Data.Status != run.Succeeded || res.Data.Attempt != 1 {
		t.Errorf("the run that was under way: %s", res.Body)
	}
	dispatcher.AwaitStop()
	worker.AwaitStop()
}
