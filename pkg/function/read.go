package function

import (
	"encoding/json"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Outcome is what an invocation came to.
type Outcome struct {
	Status  run.Status
	Output  json.RawMessage // exactly what main returned; null unless Status is succeeded
	Error   *run.Error      // nil if Status is succeeded
	Logs    run.Logs
	Execute time.Duration // of main alone, as the handler measured it; 0 where it could not
	Report  Report        // Lambda's own figures
}

// Read tells what became of the script s in the invocation. It never fails:
// an answer that makes no sense is a platform_error.
func Read(inv Invocation, s run.Script) Outcome {
	return Outcome{Status: run.PlatformError, Output: json.RawMessage("null"), Report: inv.Report}
}
