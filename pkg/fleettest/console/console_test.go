package console

import "testing"

// TestInABrowser runs the tests on one stack, in one browser.
func TestInABrowser(t *testing.T) {
	s := openSite(t)
	for name, test := range map[string]func(*testing.T, *site){
		"AScriptIsTriedAndItsSecondRunIsWarm": tried,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}
