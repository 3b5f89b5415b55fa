package errorpage

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the page")

var (
	root = filepath.Join("..", "..", "..")
	page = filepath.Join(root, "pkg", "run", "ERRORS.md")
)

// The page is for comparing the errors' wording; a type that is missing on it
// has not been compared.
func TestEveryTypeOfErrorIsOnThePage(t *testing.T) {
	found, err := Collect(root)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, []byte(Render(found)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	onPage := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(written), -1) {
		onPage[m[1]] = true
	}
	inSource := map[string]bool{}
	for _, e := range found {
		inSource[e.Type] = true
		if !onPage[e.Type] {
			t.Errorf("%s of %s is not on the page: go test ./pkg/fleettest/errorpage -update", e.Type, e.Place)
		}
	}
	for kind := range onPage {
		if !inSource[kind] {
			t.Errorf("%s is on the page and nowhere else: go test ./pkg/fleettest/errorpage -update", kind)
		}
	}
}

var row = regexp.MustCompile("(?m)^\\| `(\\w+)` ")

// Authors read the page without the code, so it must be what the code says now.
func TestTheAuthorsPageSaysWhatTheCodeSays(t *testing.T) {
	found, err := Collect(root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "SCRIPTS.md")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now, err := Authors(string(before), root, found)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if now != string(before) {
		t.Error("the limits or the errors in SCRIPTS.md are not those of the code: go test ./pkg/fleettest/errorpage -update")
	}
	for _, says := range []string{"| script | 4 MiB |", "| what a run prints | 64 KiB on each", "| timeout | 10 s unless", "| `CallerNotAllowed` | author | The caller %q may not"} {
		if !strings.Contains(now, says) {
			t.Errorf("the page does not say %q", says)
		}
	}
}

func TestCollectFindsWhatIsWordedInEveryWay(t *testing.T) {
	found, err := Collect(root)
	if err != nil {
		t.Fatal(err)
	}
	for kind, says := range map[string]string{
		"ScriptTooLarge": "move its data elsewhere",         // in place
		"InvalidJSON":    "JSON",                            // by a constructor, with a constant
		"MissingMain":    "it needs a function main(input)", // in the handler
		"Timeout":        "raise the action's timeout",      // by a constructor that makes an outcome
	} {
		if !slices.ContainsFunc(found, func(e Entry) bool { return e.Type == kind && strings.Contains(e.Message, says) }) {
			t.Errorf("%s with %q was not found", kind, says)
		}
	}
}

// What a sentence ends with that is only known when it happens is not looked
// at.
func TestEverySentenceEndsInAFullStop(t *testing.T) {
	found, err := Collect(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if !strings.HasSuffix(e.Message, ".") && !strings.HasSuffix(e.Message, "%s") && !strings.HasSuffix(e.Message, "…") {
			t.Errorf("%s of %s ends without a full stop: %s", e.Type, e.Place, e.Message)
		}
	}
}

// Two names for one thing are two things to those who handle errors by their
// type.
func TestATypeOfErrorHasOneOwner(t *testing.T) {
	found, err := Collect(root)
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]string{}
	for _, e := range found {
		if other, ok := owners[e.Type]; ok && other != e.Owner {
			t.Errorf("%s is the %s's to mend, and the %s's (%s)", e.Type, other, e.Owner, e.Place)
		}
		owners[e.Type] = e.Owner
	}
}
