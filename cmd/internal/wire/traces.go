package wire

import (
	"context"

	"github.com/scriptfleet/scriptfleet/pkg/telemetry"
	"github.com/scriptfleet/scriptfleet/pkg/version"
)

// Trace has the parts that are assembled from now on emit traces, if the
// environment asks for it. The caller must call stop once they have ended.
func (f *Fleet) Trace(ctx context.Context, service string) (stop func()) {
	f.Traces, stop = telemetry.NewTraces(ctx, telemetry.TracesConfig{
		Service: service, Version: version.String(), Instance: processName(),
	}, f.Log, f.Registry)
	return stop
}
