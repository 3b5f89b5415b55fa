package commands

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

var block = regexp.MustCompile("(?ms)^```(sh|console)\n(.*?)^```$")

// blocks are the README's code blocks in one language.
func blocks(t *testing.T, language string) (found []string) {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("the README has no block in %s", language)
	}
	return found
}

func TestTheReadmesShellBlocksWorkWhenPasted(t *testing.T) {
	dir := folder(t)
	pasted := strings.Join(blocks(t, "sh"), "\n")
	// The pasted commands continue after a failure, so every failure is
	// reported.
	script := "failed() { echo \"FAILED: $BASH_COMMAND\"; }\ntrap failed ERR\n" + pasted
	out := bash(t, dir, script)
	if strings.Contains(out, "FAILED") || !strings.Contains(out, "500 results") || !strings.Contains(out, "0 lost") {
		t.Errorf("the blocks print:\n%s", out)
	}
	if strings.Contains(out, "embedded stack, started for this run alone") {
		t.Error("replay did not use the fleet that was started")
	}
	info, err := os.Stat(filepath.Join(dir, "fleet.env"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("fleet.env is %v, %v: its owner alone is to read it", info, err)
	}
	bash(t, dir, "git init -q . && git check-ignore -q fleet.env")
	if t.Failed() {
		t.Log(out)
	}
}

func TestTheReadmesSamplesAreWhatTheCommandsPrint(t *testing.T) {
	dir := folder(t)
	for _, sample := range blocks(t, "console") {
		for _, c := range sessions(sample) {
			if file, ok := strings.CutPrefix(c.command, "cat "); ok {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(c.output+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				continue
			}
			got, want := masked(bash(t, dir, "exec 2>&1\n"+c.command)), masked(c.output)
			if rest, cut := strings.CutPrefix(want, "…\n"); cut {
				want = rest
				got = got[max(0, len(got)-len(want)):]
			}
			if got != want {
				t.Errorf("%s prints\n%s\nand the README says\n%s", c.command, got, want)
			}
		}
	}
}

// session is a command of a block, and its output in the README.
type session struct{ command, output string }

func sessions(sample string) (all []session) {
	for part := range strings.SplitSeq("\n"+sample, "\n$ ") {
		if command, output, ok := strings.Cut(part, "\n"); ok && command != "" {
			all = append(all, session{command, strings.TrimSpace(output)})
		}
	}
	return all
}

var volatile = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\d+(-\d+)? ms`), "N ms"},
	{regexp.MustCompile(`(\d+ (built|waited|reused|bridged)(, )?)+`), "builds"},
	{regexp.MustCompile(`succeeded +(built|waited|reused|bridged)`), "succeeded built"},
	{regexp.MustCompile(`(?m)^.*\r|\x1b\[K`), ""},
	{regexp.MustCompile(`  +`), " "},
}

// masked is a text without the parts that differ between runs.
func masked(text string) string {
	for _, v := range volatile {
		text = v.what.ReplaceAllString(text, v.with)
	}
	return strings.TrimSpace(text)
}

// bash runs a script as if it were pasted into a shell.
func bash(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.WaitDelay = time.Second // a background process may hold its output open
	cmd.Dir, cmd.Env = dir, environment("PATH="+standIns+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	return string(out)
}

// folder is a folder in which the README's commands work as in a clone. There,
// make and go are scripts that copy the tests' binaries instead of compiling. A
// target of make must be in the Makefile.
func folder(t *testing.T) string {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, script := range map[string]string{
		"make": fmt.Sprintf(`%[1]s -n -C '%[2]s' "$1" >/dev/null || exit
case "$1" in
build) mkdir bin && cp -l '%[3]s'/* bin/ ;;
demo) exec '%[3]s/scriptfleet' demo ;;
esac`, lookPath(t, "make"), root, binaries),
		"go": fmt.Sprintf(`[ "$1 $2" = "run ./cmd/scriptfleet" ] && shift 2 && exec '%s/scriptfleet' "$@"`, binaries),
	} {
		if err := os.WriteFile(filepath.Join(standIns, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ignored, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, ".gitignore"), ignored, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
