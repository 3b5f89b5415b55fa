package errorpage

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/layer"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Authors returns the authors' page with its generated parts replaced by what
// the code says now.
func Authors(page, root string, found []Entry) (string, error) {
	limits, err := limits(root)
	if err != nil {
		return "", err
	}
	for part, text := range map[string]string{"limits": limits, "errors": byType(found)} {
		between := regexp.MustCompile(`(?s)(<!-- ` + part + `: [^\n]* -->\n).*?(<!-- end -->)`)
		if !between.MatchString(page) {
			return "", fmt.Errorf("the authors' page has no part for %s", part)
		}
		page = between.ReplaceAllStringFunc(page, func(old string) string {
			m := between.FindStringSubmatch(old)
			return m[1] + text + m[2]
		})
	}
	return page, nil
}

// byType is a table with one row for each type of error.
func byType(found []Entry) string {
	var b strings.Builder
	b.WriteString("| `error.type` | to mend by | what it says to do |\n|---|---|---|\n")
	for i := 0; i < len(found); {
		e, says := found[i], []string(nil)
		for ; i < len(found) && found[i].Type == e.Type; i++ {
			text := cell(found[i].Message)
			if len(says) == 0 || says[len(says)-1] != text {
				says = append(says, text)
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Type, e.Owner, strings.Join(says, "<br>"))
	}
	return b.String()
}

func cell(text string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(text) }

// limits is the table of the limits that authors meet.
func limits(root string) (string, error) {
	policy, err := run.NewPolicy(run.PolicyConfig{})
	if err != nil {
		return "", err
	}
	usual, refused := policy.Decode([]byte(`{"tenant":"a","source":"/s","id":"1","data":{"script":"1"}}`), time.Now())
	if refused != nil {
		return "", refused
	}
	var handler handlerConstants
	if err := handler.read(root); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| what | limit |\n|---|---|\n")
	for _, row := range [][2]string{
		{"script", bytes(run.MaxScriptBytes)},
		{"text of the requirements", bytes(run.MaxRequirementsBytes)},
		{"packages, unpacked", bytes(layer.DefaultMaxUnpackedBytes) + ", with all that they require"},
		{"input", bytes(run.MaxInputBytes)},
		{"what `main` returns, as JSON", bytes(handler.value("MAX_OUTPUT"))},
		{"what a run prints", bytes(handler.value("LOG_BYTES")) + " on each of stdout and stderr; the rest is cut, and `logs.truncated` says so"},
		{"message of an exception", bytes(handler.value("MAX_MESSAGE"))},
		{"traceback", bytes(handler.value("MAX_TRACEBACK"))},
		{"timeout", fmt.Sprintf("%d s unless the action sets it, at most %d s; the operator may allow up to 900 s", usual.Script.TimeoutSeconds, longest(policy))},
		{"import of the script", fmt.Sprintf("%d s, then it begins again within the timeout", handler.value("INIT_SECONDS"))},
		{"memory", fmt.Sprintf("%d MB, `/tmp` apart; the operator may set 128 to 10240 MB for a tenant", usual.Script.MemoryMB)},
		{"files in `/tmp`", "512 MB; all other folders are read-only"},
		{"id of a script in the registry, name of a caller", bytes(run.MaxScriptIDBytes)},
		{"label", bytes(run.MaxLabelBytes)},
	} {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	return b.String(), handler.err
}

// longest is the longest timeout that a policy accepts, in seconds.
func longest(p *run.Policy) int {
	for n := 1; ; n++ {
		body := fmt.Appendf(nil, `{"tenant":"a","source":"/s","id":"1","data":{"script":"1","timeout_seconds":%d}}`, n)
		if _, refused := p.Decode(body, time.Now()); refused != nil {
			return n - 1
		}
	}
}

// bytes is a number of bytes for people.
func bytes(n int) string {
	switch {
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// handlerConstants are the numbers that the handler's files define.
type handlerConstants struct {
	source string
	err    error // the first name that was not found
}

func (h *handlerConstants) read(root string) error {
	files, err := filepath.Glob(filepath.Join(root, "pkg", "function", "handler", "*.py"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		h.source += string(text)
	}
	return nil
}

// value is a number, written as 5 or 64 << 10.
func (h *handlerConstants) value(name string) int {
	m := regexp.MustCompile(`(?m)^` + name + ` = (\d+)(?: << (\d+))?`).FindStringSubmatch(h.source)
	if m == nil {
		h.err = fmt.Errorf("the handler defines no number %s", name)
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if shift, errShift := strconv.Atoi("0" + m[2]); err == nil && errShift == nil {
		return n << shift
	}
	h.err = err
	return 0
}
