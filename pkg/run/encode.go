package run

import (
	"encoding/json"
	"time"
)

// ResultSource is the source of every result event.
const ResultSource = "/scriptfleet"

// Result begins the event that ends the run; what else is known of the run's
// end, the caller adds to Data. It serves a refused request as well, as long as
// that is attributable.
func (r Run) Result(status Status, now time.Time) Result {
	return Result{
		SpecVersion: SpecVersion,
		Type:        TypeFinished,
		Source:      ResultSource,
		ID:          r.Key,
		Subject:     r.ID,
		Time:        now.UTC(),
		Tenant:      r.Tenant,
		Traceparent: r.Traceparent,
		Tracestate:  r.Tracestate,
		Data:        ResultData{Story: r.Source, Action: r.Data.Action, Status: status},
	}
}

// Rejected is the result of a request that [Policy.Decode] refused with e.
func (r Run) Rejected(e *Error, now time.Time) Result {
	res := r.Result(Rejected, now)
	res.Data.Error = e
	return res
}

// Encode is the event as it stands on the results queue. Output stands in it
// byte for byte; it fails where Output is not JSON.
func (r Result) Encode() ([]byte, error) { return json.Marshal(r) }

// DecodeResult reads a result event.
func DecodeResult(body []byte) (Result, error) {
	var r Result
	err := json.Unmarshal(body, &r)
	return r, err
}

// Encode is the request as it stands on the requests queue. It fails where Input
// is not JSON.
func (r Request) Encode() ([]byte, error) { return json.Marshal(r) }
