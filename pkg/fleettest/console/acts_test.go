package console

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/chromedp/chromedp"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

const answers = "def main(input):\n    return \"answered\"\n"

// try fills in the form, and starts the run.
func (p *tab) try(tenant, script string) {
	p.t.Helper()
	p.paste("#script", script)
	p.paste("#requirements", "")
	p.paste("#input", "{}")
	p.paste("#tenant", tenant)
	p.click("#run")
}

func paused(t *testing.T, s *site) {
	read := func() int { return strings.Count(s.local.Said(), "tenants' settings read") }
	// act pauses or resumes, and waits until the fleet knows it.
	act := func(p *tab, act, tells string) {
		t.Helper()
		before := read()
		p.do("open the tenants", chromedp.Navigate(p.base+"/tenants?search=acme"))
		p.click(fmt.Sprintf(`button[aria-label="%s acme"]`, act))
		p.shows(".note.good", tells)
		wait.Until(t, within, "the fleet does not read the settings again", func() bool { return read() > before })
	}
	p := s.open(t, "/tenants?search=acme")
	act(p, "Pause", "Tenant acme is paused")
	p.shows("table .status", "paused")
	p.inspect("tenants")

	why := "Tenant acme is paused in the operator's settings"
	p.do("open the form", chromedp.Navigate(p.base+"/try"))
	p.try("acme", answers)
	p.shows("#result .why", why)
	p.inspect("try-waiting")
	p.click("#result form[data-act] button")
	p.shows("#result .status", "cancelled")

	p.try("acme", answers)
	p.shows("#result .why", why)
	waiting := value[string](p, `document.querySelector("#facts dd a").href`)
	p.do("open the tenant's runs", chromedp.Navigate(p.base+"/runs?tenant=acme"))
	p.shows("main", "1 in all, the oldest first")
	p.inspect("runs-open")
	p.do("open the run's page", chromedp.Navigate(waiting))
	p.shows(".why", why)
	p.inspect("run-waiting")

	resumes := s.open(t, "/tenants?search=acme")
	act(resumes, "Resume", "Tenant acme goes on")
	p.shows(".status", "succeeded")
	p.shows(".output", "answered")
}

func redriven(t *testing.T, s *site) {
	client := sqs.NewFromConfig(s.stack.Config())
	for _, body := range []string{
		fleettest.Request("acme-letters", "redriven-1", fleettest.Data{Action: "sent again", Script: answers}),
		fleettest.Request(markup, markup, fleettest.Data{Script: markup}),
	} {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: aws.String(s.stack["AWS_ENDPOINT_URL"] + "/123456789012/scriptfleet-requests-dlq"), MessageBody: aws.String(body),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	p := s.open(t, "/letters?queue=requests")
	p.click("button[name=look]")
	p.shows("table", "redriven-1")
	p.shows("table", markup)
	p.isText()
	p.inspect("letters")
	letter := value[string](p, `[...document.querySelectorAll("table a")].find((a) => a.innerText === "redriven-1").href`)
	p.do("open the letter", chromedp.Navigate(letter))
	p.shows("h1", "Dead letter")
	p.shows(`pre[aria-label="Body"]`, `"sent again"`)
	p.inspect("letter")
	p.click(".go button")
	p.shows("h1", "Send")
	p.shows("main", "One letter had no result. Each goes to the requests queue as it is")
	p.inspect("redrive")
	p.click("main form button")
	p.shows(".note.good", "Sent again: 1.")
	if got := p.text("table"); strings.Contains(got, "redriven-1") {
		t.Errorf("the letter is still on the list: %s", got)
	}
	shown := func() string {
		p.do("open the tenant's runs", chromedp.Navigate(p.base+"/runs?tenant=acme-letters"))
		return p.text("main")
	}
	wait.Until(t, within, "the run of the letter does not succeed", func() bool {
		got := shown()
		return strings.Contains(got, "sent again") && strings.Contains(got, "succeeded")
	})
}

var printed = regexp.MustCompile(`http://127\.0\.0\.1:\d+/\?key=\w+`)

func refused(t *testing.T, s *site) {
	// Its address comes on stdout.
	look := process.StartAs(t, "scriptfleet", s.stack.Env(), exec.Command("sh").Path, "-c", `exec "$0" "$@" >&2`,
		filepath.Join(binaries, "scriptfleet"), "console", "--addr", "127.0.0.1:0", "--results", "none", "--tenants", s.tenants)
	reader := &site{browser: s.browser}
	wait.Until(t, within, "the console tells no address", func() bool { reader.url = printed.FindString(look.Said()); return reader.url != "" })
	p := reader.open(t, "/letters?queue=requests&look=1&"+reader.url[strings.Index(reader.url, "?")+1:])
	p.expect("status of 403")
	p.shows("header .badge", "read-only")
	for _, c := range []struct{ page, button, says string }{
		{"/try", "#run", "This console does not start runs: it was started without --allow-runs."},
		{"/letters?queue=requests&look=1", "form[method=post] .go button", "This console does not redrive dead letters: it was started without --allow-changes."},
	} {
		p.do("open "+c.page, chromedp.Navigate(p.base+c.page))
		p.shows("main", c.says)
		if !value[bool](p, fmt.Sprintf("document.querySelector(%q).disabled", c.button)) {
			t.Errorf("%s of %s can be pressed", c.button, c.page)
		}
	}
	p.do("open the tenants", chromedp.Navigate(p.base+"/tenants?search=acme"))
	p.shows("main", "This console pauses nobody: it was started without --allow-changes.")
	if n := value[int](p, `document.querySelectorAll("main form[method=post]").length`); n != 0 {
		t.Errorf("%d forms can change a tenant", n)
	}
	// A form that the page does not offer is refused too.
	for path, says := range map[string]string{
		"/try": "does not start runs: it was started without --allow-runs", "/tenants/pause": "does not pause and resume tenants: it was started without --allow-changes",
		"/letters/redrive": "does not redrive dead letters: it was started without --allow-changes", "/runs/any/cancel": "does not cancel runs of others: it was started without --allow-changes",
	} {
		value[bool](p, fmt.Sprintf(`(() => { const form = document.createElement("form"); form.method = "post"; form.action = %q; document.body.append(form); form.submit(); return true; })()`, path))
		p.shows("[role=alert]", says)
		p.do("go back", chromedp.Navigate(p.base+"/fleet"))
	}
}
