package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// Each sandbox starts this program again. The packages of the AWS SDK and of
// Prometheus take ten times as long to initialise as the init needs.
func TestAnInitOfASandboxInitialisesLittleOfThisProgram(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args, cmd.Env = []string{inside.Name}, []string{"GODEBUG=inittrace=1"}
	out, _ := cmd.CombinedOutput() // it has no plan, so it fails
	if !strings.Contains(string(out), "init runtime ") {
		t.Fatalf("there is no trace of its initialisation: %s", out)
	}
	for _, heavy := range []string{"github.com/aws/aws-sdk-go-v2/service/", "github.com/prometheus/client_golang/", "github.com/scriptfleet/scriptfleet/pkg/run "} {
		if strings.Contains(string(out), "init "+heavy) {
			t.Errorf("the init has initialised %s: package inside imports too much\n%s", heavy, out)
		}
	}
}
