package telemetry

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const endpoint = "http://127.0.0.1:1"

func TestTracesFollowTheStandardVariables(t *testing.T) {
	for _, c := range []struct {
		set  map[string]string
		on   bool
		said string
	}{
		{map[string]string{}, false, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, true, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint + "/v1/traces"}, true, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SDK_DISABLED": "true"}, false, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, true, ""},
		// What cannot be followed is said, and no process ends by it.
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "zipkin"}, false, "use otlp"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, "use http/protobuf"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "xray"}, false, "OTEL_TRACES_SAMPLER"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "NaN"}, false, "from 0 to 1"},
	} {
		for _, name := range []string{"EXPORTER_OTLP_ENDPOINT", "EXPORTER_OTLP_TRACES_ENDPOINT", "EXPORTER_OTLP_PROTOCOL", "SDK_DISABLED", "TRACES_EXPORTER", "TRACES_SAMPLER", "TRACES_SAMPLER_ARG"} {
			t.Setenv("OTEL_"+name, c.set["OTEL_"+name])
		}
		core, logs := observer.New(zap.ErrorLevel)
		reg := prometheus.NewRegistry()
		tracer, stop := NewTraces(t.Context(), TracesConfig{Service: "test"}, zap.New(core), reg)
		stop()
		said := ""
		for _, line := range logs.All() {
			said += line.Message + line.ContextMap()["error"].(string)
		}
		if (tracer != nil) != c.on || (said == "") != (c.said == "") || !strings.Contains(said, c.said) {
			t.Errorf("%v: on is %t, and the log says %q", c.set, tracer != nil, said)
		}
		if n, err := testutil.GatherAndCount(reg, "scriptfleet_process_spans_total"); err != nil || c.on && n != 2 {
			t.Errorf("%v: %d outcomes have a series before the first span, not 2 (%v)", c.set, n, err)
		}
	}
}
