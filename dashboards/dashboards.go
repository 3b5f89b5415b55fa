// Package dashboards contains the files with which operators watch the fleet,
// what they are made from, and their tests:
//
//	boards.go            the dashboards as code: fleet.go, tenants.go, builds.go, lambda.go
//	*.json               the dashboards as Grafana reads them, written by the tests
//	board/               from a description to Grafana's format, and to a page without Grafana
//	recording.yml        the objectives, and series for rules and people
//	alerts.yml           the alerts
//	alerts_test.yml      for each alert, when it fires, when it ends and when it does not fire
//	objectives_test.yml  the same for the alerts of the objectives
//	prometheus.yml       Prometheus of the Compose file; a template for others
//
// README.md says what each dashboard answers, by which metrics, and
// how the objectives are counted.
//
// The tests check that promtool accepts every file, that every query parses and
// names only metrics that the code registers, that every alert has a test and a
// section in the runbook, that no dashboard is older than its description, and
// that each panel has a unit, a description and the variables.
// TestDashboardsAndAlertsShowWhatRealProcessesDo has a real Prometheus scrape
// real processes during a replay with faults: every query returns data that its
// unit allows, every label has bounded values, and twelve alerts fire on real
// faults and end after them. make observe prints what it has seen, and renders it.
//
// The descriptions are our own types and not those of Grafana's Foundation SDK:
// the page and the proof read the same description, four kinds of panels need few
// fields, and the SDK (v0) is generated anew for each release of Grafana.
package dashboards
