package console

import (
	"slices"
	"strings"
	"testing"
)

const greets = `import time
import acme_greeting

def main(input):
    print("greeting", input["name"])
    time.sleep(1)
    return {"says": acme_greeting.SAYS, "markup": "<b>bold</b><script>alert(1)</script>"}
`

// noteStages has the page note each stage that it shows as the current one.
const noteStages = `(() => {
  window.noted = [];
  const note = () => { for (const b of document.querySelectorAll(".stages .now b")) if (!noted.includes(b.innerText)) noted.push(b.innerText); };
  new MutationObserver(note).observe(document.querySelector("#result"), { childList: true, subtree: true });
  return true;
})()`

func tried(t *testing.T, s *site) {
	p := s.open(t, "/try")
	p.paste("#script", greets)
	p.paste("#requirements", "acme-greeting==1.0")
	p.paste("#input", `{"name": "console"}`)
	value[bool](p, noteStages)
	p.click("#run")
	p.shows("#result .outcome", "build: built")
	p.shows("#result .output", "hello from a package")
	p.shows("#result", "greeting console")
	p.shows("#result .legend", "in all")
	if got := p.text("#result .output"); !strings.Contains(got, "<b>bold</b><script>") {
		t.Errorf("what the script returned is shown as %s, and not as text", got)
	}
	noted := value[[]string](p, "noted")
	for _, stage := range []string{"Queue", "Build", "Execute"} {
		if !slices.Contains(noted, stage) {
			t.Errorf("the page has shown the stages %v, and not %s", noted, stage)
		}
	}
	if log := value[string](p, `document.querySelector("#buildlog pre").textContent`); !strings.Contains(log, "acme-greeting") {
		t.Errorf("the build's log is %q", log)
	}

	p.click("#run")
	p.shows("#result .outcome", "build: reused")
	p.shows("#result .before", "The run before took")
}
