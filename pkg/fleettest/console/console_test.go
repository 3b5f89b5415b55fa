package console

import "testing"

// TestInABrowser runs the tests on one stack, in one browser.
func TestInABrowser(t *testing.T) {
	s := openSite(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *site)
	}{
		{"AScriptIsTriedAndItsSecondRunIsWarm", tried},
		{"AFailingScriptsLineIsMarkedAndWhatItPrintsIsText", failed},
		{"AnInputsFaultIsMarkedWhereItIs", faultyInput},
		{"ARunIsStartedWithTheKeyboardAlone", typed},
		{"ATenantIsPausedItsRunSaysWhyItWaitsAndIsCancelled", paused},
		{"ADeadLetterIsSentAgain", redriven},
		{"WithoutTheFlagsEachChangeIsRefused", refused},
		{"EveryPageIsAccessibleInBothThemesAndFitsAPhone", inspected},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}
