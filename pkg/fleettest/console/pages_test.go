package console

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

var pictures = flag.String("pictures", "", "folder to which pictures of the pages are written, in both themes and at a phone's width")

// The sizes at which pages are looked at.
const wide, phone = 1280, 390

// inspect fails the test if the page has a fault of accessibility in one of the
// themes, or is wider than a phone.
func (p *tab) inspect(name string) {
	p.t.Helper()
	p.resize(wide)
	if !value[bool](p, "'axe' in window") {
		p.do("load axe-core", chromedp.Evaluate[chromedp.Void](axe(p.t)+"\n;undefined"))
	}
	for _, theme := range []string{"light", "dark"} {
		p.theme(theme)
		for _, fault := range value[[]string](p, `axe.run(document, { resultTypes: ["violations"] }).then((found) => found.violations.map((v) =>
  v.id + ": " + v.help + v.nodes.map((n) => "\n  " + n.html + "\n  " + n.failureSummary).join("")))`, chromedp.EvalAwaitPromise) {
			p.t.Errorf("%s, %s: %s", name, theme, fault)
		}
		p.picture(name + "-" + theme)
	}
	p.theme("light")
	p.resize(phone)
	if width := value[int](p, "document.documentElement.scrollWidth"); width > phone {
		p.t.Errorf("%s is %d pixels wide on a phone of %d; too wide are %v", name, width, phone, value[[]string](p, `[...document.querySelectorAll("main *")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll, pre, .editor")).slice(0, 5).map((e) => e.outerHTML.slice(0, 120))`))
	}
	p.picture(name + "-phone")
	p.resize(wide)
}

// axe is the source of axe-core. The browser's protocol runs it: the page's policy
// lets no page load it.
func axe(t testing.TB) string {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	return files.Read(t, filepath.Join(root, ".tools", "axe.min.js"))
}

func (p *tab) resize(width int64) {
	p.t.Helper()
	p.do("resize the page", chromedp.EmulateViewport(width, 900))
}

func (p *tab) theme(name string) {
	p.t.Helper()
	if err := call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}); err != nil {
		p.t.Fatalf("choose the %s theme: %v", name, err)
	}
}

// picture writes a picture of the whole page, if pictures are asked for.
func (p *tab) picture(name string) {
	p.t.Helper()
	if *pictures == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(*pictures, name+".png"), png, 0o600)
	}
	if err != nil {
		p.t.Fatalf("take a picture of %s: %v", name, err)
	}
}

// inspected opens the pages that no other test inspects.
func inspected(t *testing.T, s *site) {
	p := s.open(t, "/try")
	p.inspect("try")
	for name, path := range map[string]string{"runs": "/runs", "runs-filtered": "/runs?status=failed&owner=author", "fleet": "/fleet", "letters-none": "/letters"} {
		p.do("open "+path, chromedp.Navigate(p.base+path))
		p.inspect(name)
	}
	p.expect("status of 404")
	p.do("open no page", chromedp.Navigate(p.base+"/nowhere"))
	p.shows("main", "The console has no such page")
	p.inspect("error")
}

// press presses keys.
func (p *tab) press(keys string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	p.do("press a key", chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// enter presses Enter. Unlike press, it lets the page keep the key for itself.
func (p *tab) enter(modifiers ...chromedp.Modifier) {
	p.t.Helper()
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, Text: "\r"}
	chromedp.KeyModifiers(modifiers...)(&down)
	up := down
	up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
	for _, key := range []input.DispatchKeyEventParams{down, up} {
		if err := call(p.ctx, input.DispatchKeyEvent, key); err != nil {
			p.t.Fatalf("press Enter: %v", err)
		}
	}
}

func typed(t *testing.T, s *site) {
	p := s.open(t, "/try")
	focus := func() string {
		return value[string](p, "document.activeElement.id || document.activeElement.className")
	}
	p.press(kb.Tab)
	if got := focus(); got != "skip" {
		t.Errorf("the first Tab leads to %q, and not to the link that skips the navigation", got)
	}
	for range 30 {
		if focus() == "script" {
			break
		}
		p.press(kb.Tab)
	}
	if got := focus(); got != "script" {
		t.Fatalf("Tab does not lead to the script, but to %q", got)
	}
	value[bool](p, `document.querySelector("#script").select(), true`)
	p.press("def main(input):")
	p.enter()
	p.press("return 6 *")
	p.press(kb.Tab)
	p.press("7")
	if got, want := value[string](p, `document.querySelector("#script").value`), "def main(input):\n    return 6 *    7"; got != want {
		t.Errorf("what was typed is %q, not %q", got, want)
	}
	p.press(kb.Escape)
	p.press(kb.Tab)
	if got := focus(); got != "requirements" {
		t.Errorf("Escape and Tab lead to %q, and not out of the script", got)
	}
	p.enter(chromedp.ModifierCtrl)
	p.shows("#result .output", "42")
	for range 15 {
		if focus() == "run" {
			break
		}
		p.press(kb.Escape)
		p.press(kb.Tab)
	}
	p.enter()
	p.shows("#result .before", "The run before took") // by its function, or bridged
}
