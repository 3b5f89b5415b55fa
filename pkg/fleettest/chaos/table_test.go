package chaos

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// rows are the measurements of this process, by fault.
type rows struct {
	mu  sync.Mutex
	all map[string][]string
}

var table = &rows{all: map[string][]string{}}

func (r *rows) set(name string, cells []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[name] = cells
}

const (
	readme     = "README.md"
	tableBegin = "<!-- made by the tests with -chaos.update -->\n"
	tableEnd   = "<!-- end -->\n"
)

// write updates the README's rows of the faults that ran in this process.
func (r *rows) write() error {
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	head, old, tail, err := cutTable(text)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(head + tableBegin)
	b.WriteString("| fault |")
	for _, p := range promises {
		b.WriteString(" " + p.name + " |")
	}
	b.WriteString(" measured | made by |\n|" + strings.Repeat("---|", len(promises)+3) + "\n")
	for _, x := range faults() {
		switch cells, made := r.all[x.name]; {
		case made:
			fmt.Fprintf(&b, "| %s | %s | `%s` |\n", x.name, strings.Join(cells, " | "), x.command())
		case old[x.name] != "":
			b.WriteString(old[x.name] + "\n")
		}
	}
	b.WriteString(tableEnd + tail)
	return os.WriteFile(readme, []byte(b.String()), 0o644)
}

func (x fault) command() string {
	if x.long {
		return "make chaos"
	}
	return "make test"
}

// cutTable splits the README into the text before the table, its rows by fault,
// and the text after it.
func cutTable(text []byte) (head string, old map[string]string, tail string, err error) {
	before, rest, found := bytes.Cut(text, []byte(tableBegin))
	body, after, ended := bytes.Cut(rest, []byte(tableEnd))
	if !found || !ended {
		return "", nil, "", fmt.Errorf("%s has no table", readme)
	}
	old = map[string]string{}
	for line := range strings.Lines(string(body)) {
		if cells := strings.Split(line, " | "); len(cells) > 1 {
			old[strings.TrimPrefix(cells[0], "| ")] = strings.TrimSpace(line)
		}
	}
	return string(before), old, string(after), nil
}

func TestTheTableHasARowForEveryFaultAndNoOther(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, old, _, err := cutTable(text)
	if err != nil {
		t.Fatal(err)
	}
	delete(old, "fault")
	for _, x := range faults() {
		if old[x.name] == "" {
			t.Errorf("%s has no row for: %s (make chaos, with -chaos.update)", readme, x.name)
		}
		delete(old, x.name)
	}
	for name := range old {
		t.Errorf("%s has a row for what is no fault: %s", readme, name)
	}
}
