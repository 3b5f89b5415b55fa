package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
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
// byte for byte, but for two characters that no queue takes (see
// [queueable]). It fails where Output is not JSON: what a function answers must
// not write fields of the event.
func (r Result) Encode() ([]byte, error) {
	output := r.Data.Output
	r.Data.Output = nil
	return encodeAround(r, `"output":null`, output)
}

// DecodeResult reads a result event. Fields that it does not know are those of a
// newer fleet, and are passed over.
func DecodeResult(body []byte) (Result, error) {
	var r Result
	if err := json.Unmarshal(body, &r); err != nil {
		return Result{}, fmt.Errorf("decode result: %w", err)
	}
	if r.Type != TypeFinished {
		return Result{}, fmt.Errorf("decode result: type is %s, not %s", show(r.Type), TypeFinished)
	}
	return r, nil
}

// Encode is the request as it stands on the requests queue, its input byte for
// byte. It fails where Input is not JSON.
func (r Request) Encode() ([]byte, error) {
	input := r.Data.Input
	if input != nil {
		r.Data.Input = json.RawMessage("null")
	}
	return encodeAround(r, `"input":null`, input)
}

// encodeAround encodes an event, and puts raw where hole stands: encoding/json
// would write raw anew. The hole can't be found in a text of the event's, since
// its quotes would be escaped there.
func encodeAround(event any, hole string, raw json.RawMessage) ([]byte, error) {
	if len(raw) > 0 && (!json.Valid(raw) || !utf8.Valid(raw)) {
		return nil, fmt.Errorf("encode event: %s is not JSON: %s", hole[:strings.IndexByte(hole, ':')], show(string(raw)))
	}
	var b bytes.Buffer
	b.Grow(len(raw) + 2048)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(event); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if i := bytes.Index(body, []byte(hole)); i >= 0 && len(raw) > 0 {
		end := i + len(hole)
		body = slices.Replace(body, end-len("null"), end, raw...)
	}
	return queueable(body), nil
}

// queueable escapes U+FFFE and U+FFFF, which SQS refuses in a body. In JSON they
// can stand in a text only, where the escape is the same character.
func queueable(body []byte) []byte {
	if !bytes.Contains(body, []byte("\uFFFE")) && !bytes.Contains(body, []byte("\uFFFF")) {
		return body
	}
	body = bytes.ReplaceAll(body, []byte("\uFFFE"), []byte(`\ufffe`))
	return bytes.ReplaceAll(body, []byte("\uFFFF"), []byte(`\uffff`))
}
