package wire

import (
	"fmt"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/version"
)

// Version is what --version prints of a binary: its release, and the handler that
// decides which functions it makes. Two releases with one handler share them.
func Version(name string) string {
	return fmt.Sprintf("%s %s (%s, handler %s)", name, version.String(), runtime.Version(), function.HandlerVersion())
}

// registerVersion adds the same to a process's metrics.
func registerVersion(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "scriptfleet_build_info", Help: "1, with the release and the handler of this process.",
		ConstLabels: prometheus.Labels{"version": version.String(), "go_version": runtime.Version(), "handler": function.HandlerVersion()},
	}, func() float64 { return 1 })
}
