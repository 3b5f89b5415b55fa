// Package console tests the console in Chromium, against the embedded stack that
// scriptfleet local starts: one stack and one browser for all its tests.
//
// chromedp drives the browser: it speaks Chromium's own protocol from Go, so that a
// test needs no Node.js, and the browser is Debian's, which .ci/setup installs. Each
// page is watched while a test uses it: an error in its console, an exception, a
// breach of its policy, or a request to another host fails the test.
//
// axe-core looks for faults of accessibility in each page, in both themes. To look at
// the pages oneself:
//
//	go test ./pkg/fleettest/console -args -pictures DIR
package console
