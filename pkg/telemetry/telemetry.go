// Package telemetry is the observability of every process: zap logs on stderr,
// a Prometheus registry, an admin address with metrics, health and profiles, and
// the export of traces by OTLP.
//
// Metrics are served as OpenMetrics to those who ask for it, as Prometheus does.
// The histograms scriptfleet_worker_run_seconds and
// scriptfleet_worker_stage_seconds then have exemplars, with the trace_id of a
// sampled run.
package telemetry

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/scriptfleet/scriptfleet/pkg/lasting"
)

// NewLogger returns a logger that writes to stderr. format is "json", "console"
// (lines for people) or "auto", which is console if stderr is a terminal and
// json otherwise. level is debug, info, warn or error.
//
// Lines that repeat are bounded and counted, but for those of settled runs: see
// [lasting.Repeats].
//
// Levels: one Info line for each settled run; Warn for a fault that ends by
// itself; Error for a fault that a person has to mend.
func NewLogger(level, format string) (*zap.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: use debug, info, warn or error", level)
	}
	encoder := zap.NewProductionEncoderConfig()
	encoder.TimeKey = "time"
	encoder.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder.EncodeDuration = zapcore.MillisDurationEncoder

	var enc zapcore.Encoder
	switch {
	case format == "console" || format == "auto" && term.IsTerminal(int(os.Stderr.Fd())):
		encoder.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoder.EncodeLevel = zapcore.CapitalLevelEncoder
		enc = zapcore.NewConsoleEncoder(encoder)
	case format == "json" || format == "auto":
		enc = zapcore.NewJSONEncoder(encoder)
	default:
		return nil, fmt.Errorf("log format %q: use auto, json or console", format)
	}
	return zap.New(lasting.Repeats(zapcore.NewCore(enc, zapcore.Lock(os.Stderr), l))), nil
}

// NewRegistry returns a registry with the metrics of the Go runtime and of the
// process. Prometheus' global registry is not used.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}
