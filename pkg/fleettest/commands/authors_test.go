package commands

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
)

// section is the part of the authors' page below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(files.Read(t, "../../../SCRIPTS.md"), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the page has no section %s", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// The commands are pasted as they are, beside one embedded stack.
func TestTheAuthorsPageGivesTheEventOfEachScript(t *testing.T) {
	t.Parallel()
	l := startLocal(t, environment())
	dir, ran := t.TempDir(), 0
	env := append(slices.Clone(l.env), "PATH="+binaries+":"+os.Getenv("PATH"))
	for _, m := range block.FindAllStringSubmatch(section(t, "Five scripts")+section(t, "Scripts from a repository"), -1) {
		for _, c := range sessions(m[2]) {
			if file, ok := strings.CutPrefix(c.command, "cat "); ok {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(c.output+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want := "^" + strings.ReplaceAll(regexp.QuoteMeta(c.output), "…", ".*") + "\n$"
			got := told(process.Run(t, env, "", "/bin/sh", "-c", "cd "+dir+" && "+c.command))
			if ok, err := regexp.MatchString(want, got.Stdout); !ok || err != nil {
				t.Errorf("%s prints\n%s\nand the page says\n%s\nstderr: %s", c.command, got.Stdout, c.output, got.Stderr)
			}
			ran++
		}
	}
	if ran != 7 {
		t.Errorf("%d commands were run, want one for each of the five scripts, and two of the registry", ran)
	}
}
