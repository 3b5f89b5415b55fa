// Package dashboards contains the files with which operators watch the fleet,
// and their tests:
//
//	fleet.json       the Grafana dashboard
//	recording.yml    series for rules and people
//	alerts.yml       the alerts
//	alerts_test.yml  for each alert, when it fires and when it does not
//	prometheus.yml   Prometheus of the Compose file; a template for others
//
// The tests check that promtool accepts every file, that every query parses and
// names only metrics that the code registers, that every alert has a test and a
// section in the runbook, and that a real Prometheus, scraping real processes
// during a replay, returns data for every query of the dashboard.
package dashboards
