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

// Result returns the event that ends the run, with its status. The caller adds
// the rest to Data. The run may be a refused request that is attributable.
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
		Data:        ResultData{Story: r.Source, Action: r.Data.Action, ScriptRef: r.Data.ScriptRef, Status: status, Warning: r.Warning},
	}
}

// Rejected returns the result of a request that [Policy.Decode] refused with e.
func (r Run) Rejected(e *Error, now time.Time) Result {
	res := r.Result(Rejected, now)
	res.Data.Error = e
	return res
}

// Encode returns the event's JSON for the results queue. It copies Output byte
// for byte, except that it escapes the two characters that SQS refuses (see
// [queueable]). It fails where Output is not JSON, since such an output could
// add fields to the event.
func (r Result) Encode() ([]byte, error) {
	output := r.Data.Output
	r.Data.Output = nil
	return encodeAround(r, `"output":null`, output)
}

// DecodeResult reads a result event. It ignores unknown fields, which a newer
// fleet may have added.
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

// Encode returns the request's JSON for the requests queue. It copies Input as
// Result.Encode copies Output, and fails where Input is not JSON.
func (r Request) Encode() ([]byte, error) {
	input := r.Data.Input
	if input != nil {
		r.Data.Input = json.RawMessage("null")
	}
	return encodeAround(r, `"input":null`, input)
}

// encodeAround encodes an event, and replaces the null of hole, such as
// "output":null, by raw. (encoding/json would reformat raw.) A text of the
// event cannot contain hole, since its quotes are escaped there.
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

// queueable escapes U+FFFE and U+FFFF, which SQS refuses in a body. In JSON
// they occur only within strings, where the escape stands for the same
// character.
func queueable(body []byte) []byte {
	if !bytes.Contains(body, []byte("\uFFFE")) && !bytes.Contains(body, []byte("\uFFFF")) {
		return body
	}
	body = bytes.ReplaceAll(body, []byte("\uFFFE"), []byte(`\ufffe`))
	return bytes.ReplaceAll(body, []byte("\uFFFF"), []byte(`\uffff`))
}
