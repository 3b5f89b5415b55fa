// Package dashboards holds what operators watch the fleet with, and the test
// that proves it:
//
//	fleet.json       the Grafana dashboard
//	recording.yml    series that rules and people reuse
//	alerts.yml       what the fleet pages for
//	alerts_test.yml  what each alert is silent about and what it fires at
//	prometheus.yml   a Prometheus of the Compose file, and a start for others
//
// The tests hold: promtool accepts every file; every query parses, and names
// only metrics that the code registers; every alert has a test and a section in
// the runbook; and a real Prometheus, scraping real processes under a replay,
// answers every query of the dashboard with data.
package dashboards
