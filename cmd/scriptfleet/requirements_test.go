package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/scriptfleet/scriptfleet/pkg/config"
)

func TestARequirementInPlaceOfItsFileIsExplained(t *testing.T) {
	dir := t.TempDir()
	script, file := filepath.Join(dir, "report.py"), filepath.Join(dir, "requirements.txt")
	for _, path := range []string{script, file} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for given, want := range map[string]string{
		file: "", dir: "is a folder", "humanize==4.12.3": "write the requirements into one",
	} {
		for _, command := range [][]string{{"run"}, {"functions", "build", "--tenant=acme"}, {"scripts", "push", "--tenant=acme"}} {
			parser, err := kong.New(&commands{}, config.Options("scriptfleet", "")...)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parser.Parse(append(command, script, "--requirements", given))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s --requirements %s: %v", strings.Join(command, " "), given, err)
			}
		}
	}
}
