package commands

import (
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

var versionLine = regexp.MustCompile(`^(\w+) (\S+) \((go\S+), handler ([0-9a-f]{16})\)\n$`)

func TestEveryBinaryTellsItsVersionAndThatOfItsHandler(t *testing.T) {
	t.Parallel()
	l := startLocal(t, environment(), "--no-fleet")
	for _, name := range program.All {
		out, err := exec.Command(binary(name), "--version").Output()
		m := versionLine.FindStringSubmatch(string(out))
		if err != nil || m == nil || m[1] != name {
			t.Fatalf("%s --version: %v, %s", name, err, out)
		}
		if name == "scriptfleet" {
			if line, _, _ := strings.Cut(l.Said(), "\n"); !strings.Contains(line, `"version":"`+m[2]) {
				t.Errorf("the first line of the log is %s", line)
			}
			continue
		}
		p := process.Start(t, append(l.env, "SCRIPTFLEET_POLL_WAIT=1s"), binary(name))
		resp, err := http.Get("http://" + p.Admin() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := `scriptfleet_build_info{go_version="` + m[3] + `",handler="` + m[4] + `",version="` + m[2] + `"} 1`; err != nil || !strings.Contains(string(page), want) {
			t.Errorf("%s has no metric %s", name, want)
		}
		if line, _, _ := strings.Cut(p.Said(), "\n"); !strings.Contains(line, `"version":"`+m[2]) || !strings.Contains(line, m[4]) {
			t.Errorf("the first line of %s is %s", name, line)
		}
	}
}
