package outbox

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/trace"
)

// Fields are the log fields of a settled run: who and where, how it ended, and
// where its time went. Nothing of the script, its input, its output or its
// error's message is among them, since any of these may hold a secret.
func Fields(res run.Result, p trace.Place) []zap.Field {
	fields := []zap.Field{
		zap.String("tenant", res.Tenant), zap.String("run", string(res.ID)), zap.String("id", res.Subject), zap.String("trace_id", p.ID()),
		zap.String("status", string(res.Data.Status)), zap.Int("attempt", res.Data.Attempt), zap.String("build", string(res.Data.Build.Outcome)),
		zap.Object("timings_ms", timings(res.Data.Timings)),
	}
	if e := res.Data.Error; e != nil {
		fields = append(fields, zap.String("owner", string(e.Owner)), zap.String("type", e.Type))
		if e.Field != "" {
			fields = append(fields, zap.String("field", e.Field))
		}
	}
	return fields
}

// timings are logged under the names that the event has.
type timings run.Timings

func (t timings) MarshalLogObject(o zapcore.ObjectEncoder) error {
	o.AddInt64("intake", t.Intake)
	o.AddInt64("queue", t.Queue)
	o.AddInt64("build_wait", t.BuildWait)
	o.AddInt64("build", t.Build)
	o.AddInt64("init", t.Init)
	o.AddInt64("execute", t.Execute)
	o.AddInt64("publish", t.Publish)
	o.AddInt64("total", t.Total)
	return nil
}
