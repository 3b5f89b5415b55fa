package dashboards

import "github.com/scriptfleet/scriptfleet/pkg/toptenants"

// bounds is how many values a label may have in one metric of one process.
// README.md says what bounds each of them.
var bounds = map[string]int{
	"__name__": 1, "job": 1, "instance": 1,
	"tenant": toptenants.Size + 1,

	"architecture": 2, "class": 9, "count": 8, "handler": 1, "go_version": 1, "kind": 2, "layer": 2, "le": 20, "load": 2,
	"op": 5, "operation": 10, "outcome": 8, "part": 20, "partition": 65, "queue": 70, "reason": 7, "slo": 3, "stage": 7,
	"state": 3, "status": 9, "step": 3, "verdict": 5, "version": 1,
}
