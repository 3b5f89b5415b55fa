package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// markup is what no page may take for markup.
const markup = `<img src=x onerror="document.title='run'"><script>document.title='run'</script>`

// fails prints markup, and then fails at its line 6 with markup.
const fails = `import sys

def main(input):
    print(input["markup"])
    print(input["markup"], file=sys.stderr)
    raise ValueError(input["markup"])
`

// markedLine is the line that an editor marks, counted by where the mark is drawn;
// 0 where there is none.
func (p *tab) markedLine(field string) int {
	p.t.Helper()
	return value[int](p, fmt.Sprintf(`(() => {
  const area = document.querySelector(%q), mark = area.parentElement.querySelector(".mark"), style = getComputedStyle(area);
  if (getComputedStyle(mark).display === "none") return 0;
  return Math.round((mark.offsetTop - area.offsetTop + area.scrollTop - parseFloat(style.paddingTop)) / parseFloat(style.lineHeight)) + 1;
})()`, field))
}

// isText fails the test if the page has taken markup for markup.
func (p *tab) isText() {
	p.t.Helper()
	if n := value[int](p, `document.querySelectorAll("main img, main script").length`); n != 0 || value[string](p, "document.title") == "run" {
		p.t.Errorf("the page has %d elements that a script has printed", n)
	}
}

func failed(t *testing.T, s *site) {
	p := s.open(t, "/try")
	p.paste("#script", fails)
	p.paste("#requirements", "")
	p.paste("#input", fmt.Sprintf("{\n  \"markup\": %q\n}", markup))
	p.paste("#action", markup)
	p.click("#run")
	p.shows("#result .fault .message", markup)
	p.shows("#script-fault", "Line 6")
	if got := p.markedLine("#script"); got != 6 {
		t.Errorf("line %d of the editor is marked, not 6", got)
	}
	p.shows("#result .fault .code .at", "raise ValueError")
	p.shows("#result .fault", "for the author to mend")
	p.shows("#trace pre", "ValueError")
	for _, label := range []string{"Printed to stdout", "Printed to stderr"} {
		p.shows(fmt.Sprintf(`#result pre[aria-label=%q]`, label), markup)
	}
	p.isText()
	p.inspect("try-failed")

	p.click(`#facts summary`)
	p.click(`#facts dd a`) // the run's own page
	p.shows("h1", markup)
	p.shows(".fault .message", markup)
	p.isText()
	p.inspect("run")

	p.do("open the failed runs", chromedp.Navigate(p.base+"/runs?status=failed"))
	p.shows("table", markup)
	p.isText()
}

func faultyInput(t *testing.T, s *site) {
	p := s.open(t, "/try")
	p.paste("#input", "{\n  \"a\": 1,\n  \"b\" 2\n}")
	p.shows("#input-fault", "Line 3, column 7") // while it is typed
	if got := p.markedLine("#input"); got != 3 {
		t.Errorf("line %d of the input is marked, not 3", got)
	}
	p.click("#run")
	p.shows("#input-fault", "Line 3, column 7")
	if got := value[string](p, "document.activeElement.id"); got != "input" {
		t.Errorf("the focus is on %q, not on the input", got)
	}
	if got := p.text("#result"); !strings.Contains(got, "What becomes of the run appears here") {
		t.Errorf("a run was started: %s", got)
	}
	p.inspect("try-input")
	p.paste("#input", "{}")
	if got := p.markedLine("#input"); got != 0 {
		t.Errorf("line %d is still marked", got)
	}
}
