package console

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// within bounds each wait; only a failure takes as long.
const within = time.Minute

// site is an embedded stack with its console, and a browser.
type site struct {
	local   *process.Process
	stack   fleettest.Settings
	url     string // with the key
	tenants string // the file of the tenants' settings
	browser context.Context
}

// openSite starts the stack and the browser for all tests.
func openSite(t *testing.T) *site {
	t.Helper()
	s := &site{tenants: files.Write(t, "tenants.json", "{}\n")}
	index := pypitest.Serve[pypitest.File](t, pypitest.Wheel{
		Name: "acme-greeting", Version: "1.0", Files: map[string]string{"acme_greeting.py": "SAYS = 'hello from a package'\n"},
	})
	s.local, s.stack = fleettest.StartLocal(t, binaries, program.Environment("XDG_CACHE_HOME="+cache),
		"--console-addr", "127.0.0.1:0", "--tenants", s.tenants, "--index", index, "--poll-wait", "1s")
	s.url = s.stack["SCRIPTFLEET_CONSOLE"]
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program.OnPath(t, "chromium")), chromedp.NoSandbox, chromedp.WindowSize(1360, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocated, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	browser, stop := chromedp.NewContext(allocated)
	t.Cleanup(stop)
	if err := chromedp.Do(browser, chromedp.Navigate(s.url)); err != nil { // the cookie is then there
		t.Fatalf("start chromium: %v", err)
	}
	s.browser = browser
	return s
}

// tab is a page of the console.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu       sync.Mutex
	faults   []string
	expected string // a message of the browser with this is no fault; empty for none
}

// open opens a page, which is closed with the test. The test then fails if
// something was wrong with the page.
func (s *site) open(t *testing.T, path string) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(s.browser)
	base, _, _ := strings.Cut(s.url, "?")
	base = strings.TrimSuffix(base, "/")
	p := &tab{t: t, ctx: ctx, base: base}
	t.Cleanup(func() {
		closeTab()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, fault := range p.faults {
			t.Error(fault)
		}
	})
	if err := errors.Join(chromedp.Do(ctx), chromedp.Listen(ctx, p.watch), call(ctx, log.Enable, cdp.Empty{}), call(ctx, network.Enable, network.EnableParams{})); err != nil {
		t.Fatalf("watch the page: %v", err)
	}
	p.do("open "+path, chromedp.Navigate(base+path))
	return p
}

// watch notes what is wrong with the page.
func (p *tab) watch(event any) {
	fault := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		fault = "an exception: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			fault = fmt.Sprintf("the console says: %v", e.Args)
		}
	case *log.EventEntryAdded:
		if !p.expects(e.Entry.Text) && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			fault = "the browser says: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != p.base {
			fault = "a request to another host: " + e.Request.URL
		}
	}
	if fault != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = append(p.faults, fault)
	}
}

// expect has messages of the browser that contain the text be no fault.
func (p *tab) expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = text
}

func (p *tab) expects(message string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.expected != "" && strings.Contains(message, p.expected)
}

// do does what is named.
func (p *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.text("main"))
	}
}

// paste replaces the text of a field, as pasting does.
func (p *tab) paste(field, text string) {
	p.t.Helper()
	p.do("paste into "+field, chromedp.Focus(field), chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).select()", field)))
	if err := call(p.ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		p.t.Fatalf("paste into %s: %v", field, err)
	}
}

// click clicks an element.
func (p *tab) click(element string) {
	p.t.Helper()
	p.do("click "+element, chromedp.Click(element, chromedp.NodeVisible))
}

// text is the text of an element, or "" where there is none.
func (p *tab) text(element string) string {
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf("(document.querySelector(%q) || {}).innerText || ''", element)))
	return text
}

// shows waits until an element has a text.
func (p *tab) shows(element, text string) {
	p.t.Helper()
	if !wait.Soon(within, func() bool { return strings.Contains(p.text(element), text) }) {
		p.t.Fatalf("%s does not show %q within %s, but %q; the page:\n%s", element, text, within, p.text(element), p.text("main"))
	}
}

// value evaluates an expression of the page.
func value[T any](p *tab, expression string, options ...chromedp.EvaluateOption) (v T) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		p.t.Fatalf("evaluate %s: %v\n%s", expression, err, p.text("main"))
	}
	return v
}

// call calls a command of the browser's protocol.
func call[P, R any](ctx context.Context, command cdp.Command[P, R], params P) error {
	_, err := chromedp.Call(ctx, command, params)
	return err
}
