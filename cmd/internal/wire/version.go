package wire

import (
	"fmt"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/version"
)

// Version is the output of --version: the release, and the handler's version.
// Releases with the same handler version share functions.
func Version(name string) string {
	return fmt.Sprintf("%s %s (%s, handler %s)", name, version.String(), runtime.Version(), function.HandlerVersion())
}

// registerVersion adds the same as a metric.
func registerVersion(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "scriptfleet_build_info", Help: "1, with the release and the handler of this process.",
		ConstLabels: prometheus.Labels{"version": version.String(), "go_version": runtime.Version(), "handler": function.HandlerVersion()},
	}, func() float64 { return 1 })
}
