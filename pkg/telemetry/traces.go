package telemetry

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/lasting"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// TracesConfig configures the export of traces.
type TracesConfig struct {
	Service  string // name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES gives another
	Version  string
	Instance string // of the service
}

// flushWithin bounds the export of the last spans when a process ends.
const flushWithin = 3 * time.Second

// NewTraces returns what emits spans by OTLP over HTTP, as OpenTelemetry's
// standard variables say. It returns nil, which emits none, unless
// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, and
// where OTEL_SDK_DISABLED is true or OTEL_TRACES_EXPORTER is none. A variable
// that it cannot follow leaves traces off, and is logged: no run depends on them.
//
// Spans wait in a queue of OTEL_BSP_MAX_QUEUE_SIZE (2,048), beyond which they
// are dropped. A collector that is away is logged once. The caller must call
// stop, which exports what is left.
func NewTraces(ctx context.Context, cfg TracesConfig, log *zap.Logger, reg prometheus.Registerer) (t *trace.Tracer, stop func()) {
	nothing := func() {}
	if !wanted() {
		return nil, nothing
	}
	provider, err := newProvider(ctx, cfg, log, reg)
	if err != nil {
		log.Error("traces are off", zap.Error(err))
		return nil, nothing
	}
	return trace.New(provider), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
		defer cancel()
		_ = provider.Shutdown(ctx) // what cannot be exported is counted and logged
	}
}

func wanted() bool {
	endpoint := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") + os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	return endpoint != "" && !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") && os.Getenv("OTEL_TRACES_EXPORTER") != "none"
}

func newProvider(ctx context.Context, cfg TracesConfig, log *zap.Logger, reg prometheus.Registerer) (*sdktrace.TracerProvider, error) {
	if exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter != "" && exporter != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %q: use otlp or none", exporter)
	}
	protocol := firstOf(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	if !strings.HasPrefix(protocol, "http/") {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: use http/protobuf, and the collector's port for it, mostly 4318", protocol)
	}
	sampler, err := samplerOf(os.Getenv("OTEL_TRACES_SAMPLER"), os.Getenv("OTEL_TRACES_SAMPLER_ARG"))
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version), attribute.String("service.instance.id", cfg.Instance),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	away := lasting.New(log, "traces cannot be exported; spans are dropped until the collector answers", "traces are exported again")
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { away.Met(err) }))
	// The queue is the buffer: a batch that fails is dropped, so that later ones do not wait for it.
	client, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	if err != nil {
		return nil, fmt.Errorf("read the variables OTEL_EXPORTER_OTLP_*: %w", err)
	}
	spans := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "scriptfleet_process_spans_total", Help: "Spans of traces that were exported, or dropped as the collector did not take them.",
	}, []string{"outcome"})
	for _, outcome := range []string{exported, dropped} {
		spans.WithLabelValues(outcome)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithResource(about), sdktrace.WithSampler(builds{sampler}), sdktrace.WithIDGenerator(trace.IDs{}),
		sdktrace.WithBatcher(&exporter{SpanExporter: client, away: away, spans: spans}),
	), nil
}

// What becomes of a span. Both have a series from the start: what comes into being
// with its first count shows no increase.
const exported, dropped = "exported", "dropped"

// exporter counts spans, and logs a collector that is away once.
type exporter struct {
	sdktrace.SpanExporter
	away  *lasting.Fault
	spans *prometheus.CounterVec
}

func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.spans.WithLabelValues(dropped).Add(float64(len(spans)))
		e.away.Met(err)
		return nil
	}
	e.spans.WithLabelValues(exported).Add(float64(len(spans)))
	e.away.Over()
	return nil
}

// builds samples the span of each build that a sampled run has waited for, and
// others as the operator's sampler says.
type builds struct{ sdktrace.Sampler }

func (b builds) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if trace.IsSampled(p.ParentContext) {
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
	}
	return b.Sampler.ShouldSample(p)
}

// samplerOf is the sampler of OpenTelemetry's standard variables. The SDK reads
// them too, but its sampler cannot be had to be put behind another.
func samplerOf(name, arg string) (sdktrace.Sampler, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	base, byParent := strings.CutPrefix(name, "parentbased_")
	var sampler sdktrace.Sampler
	switch base {
	case "", "always_on":
		sampler, byParent = sdktrace.AlwaysSample(), byParent || name == ""
	case "always_off":
		sampler = sdktrace.NeverSample()
	case "traceidratio":
		ratio, err := strconv.ParseFloat(firstOf(strings.TrimSpace(arg), "1"), 64)
		if err != nil || !(ratio >= 0 && ratio <= 1) {
			return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %q: use a number from 0 to 1", arg)
		}
		sampler = sdktrace.TraceIDRatioBased(ratio)
	default:
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER is %q: use always_on, always_off or traceidratio, or one of them after parentbased_", name)
	}
	if byParent {
		sampler = sdktrace.ParentBased(sampler)
	}
	return sampler, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
