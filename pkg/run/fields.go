package run

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// set reads a field of the envelope. A null leaves the field unset.
func (r *Request) set(name string, v []byte) *Error {
	switch name {
	case "specversion":
		return setText(&r.SpecVersion, InvalidSpecVersion, name, v)
	case "type":
		return setText(&r.Type, InvalidType, name, v)
	case "source":
		return setNeeded(&r.Source, InvalidSource, name, v)
	case "id":
		return setNeeded(&r.ID, InvalidID, name, v)
	case "time":
		return setTime(&r.Time, name, v)
	case "subject":
		return setText(&r.Subject, InvalidField, name, v)
	case "datacontenttype":
		return setText(&r.DataContentType, InvalidField, name, v)
	case "dataschema":
		return setText(&r.DataSchema, InvalidField, name, v)
	case "tenant":
		return setNeeded(&r.Tenant, InvalidTenant, name, v)
	case "traceparent":
		return setText(&r.Traceparent, InvalidField, name, v)
	case "tracestate":
		return setText(&r.Tracestate, InvalidField, name, v)
	}
	return unknown(name, envelopeFields)
}

var (
	envelopeFields = []string{"specversion", "type", "source", "id", "time", "subject", "datacontenttype", "dataschema", "tenant", "traceparent", "tracestate", "data"}
	dataFields     = []string{"action", "runtime", "script", "script_ref", "caller", "requirements", "input", "timeout_seconds", "credential", "delivery", "expires_at", "run"}
)

// set reads a field of data.
func (d *RequestData) set(name string, v []byte) *Error {
	path := "data." + name
	switch name {
	case "action":
		return setText(&d.Action, InvalidField, path, v)
	case "runtime":
		return setText(&d.Runtime, UnknownRuntime, path, v)
	case "script":
		return setNeeded(&d.Script, InvalidScript, path, v)
	case "script_ref":
		return setText(&d.ScriptRef, InvalidReference, path, v)
	case "caller":
		return setText(&d.Caller, InvalidCaller, path, v)
	case "requirements":
		return setText(&d.Requirements, InvalidRequirement, path, v)
	case "input":
		return setInput(&d.Input, path, v)
	case "timeout_seconds":
		return setTimeout(&d.TimeoutSeconds, path, v)
	case "credential":
		return setText(&d.Credential, InvalidCredential, path, v)
	case "delivery":
		return setText((*string)(&d.Delivery), InvalidDelivery, path, v)
	case "expires_at":
		return setTime(&d.ExpiresAt, path, v)
	case "run":
		return setNeeded(&d.Run, InvalidID, path, v)
	}
	return unknown(path, dataFields)
}

func unknown(path string, known []string) *Error {
	return refuse(UnknownField, clip(path), "%s is not a field of a request: take it out, or correct its name (there are %s).", show(path), strings.Join(known, ", "))
}

// setText reads an optional text.
func setText(dst *string, kind, path string, v []byte) *Error {
	if isNull(v) {
		return nil
	}
	if v[0] != '"' {
		return refuse(kind, path, "%s is %s: make it a string.", path, kindOf(v))
	}
	s, ok := unquote(v)
	if !ok {
		return refuse(InvalidUTF8, path, "%s is not valid UTF-8, or has half of a surrogate pair in it: encode it as UTF-8.", path)
	}
	*dst = s
	return nil
}

// setNeeded reads a text that must not be empty. Afterwards an empty *dst means
// that the field is absent.
func setNeeded(dst *string, kind, path string, v []byte) *Error {
	if e := setText(dst, kind, path, v); e != nil || isNull(v) || *dst != "" {
		return e
	}
	return refuse(kind, path, "%s is empty: fill it in.", path)
}

// timePattern refuses what time.Parse accepts beyond RFC 3339: hours of one
// digit, a comma before the fraction, and offsets of 24 hours or more.
var timePattern = regexp.MustCompile(`T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$`)

func setTime(dst **time.Time, path string, v []byte) *Error {
	var s string
	if e := setText(&s, InvalidTime, path, v); e != nil || isNull(v) {
		return e
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !timePattern.MatchString(s) {
		return refuse(InvalidTime, path, "%s is %s: write it in RFC 3339, such as 2026-11-23T09:10:00Z.", path, show(s))
	}
	*dst = &t
	return nil
}

// Bounds on input.
const (
	MaxInputBytes   = 6_000_000 // Lambda takes 6 MiB, and the credentials and the trace need some of it
	maxInputNesting = 256       // Python's json module recurses, and fails where it gets too deep
	maxInputDigits  = 4300      // Python converts no longer number (sys.int_info.default_max_str_digits)
)

func setInput(dst *json.RawMessage, path string, v []byte) *Error {
	if isNull(v) {
		return nil
	}
	if v[0] != '{' {
		return refuse(InvalidInput, path, "%s is %s: make it an object, whose values the script reads as input[\"name\"].", path, kindOf(v))
	}
	if len(v) > MaxInputBytes {
		return refuse(InvalidInput, path, "%s has %d bytes, and a function takes at most %d: give the script an address to fetch it from.", path, len(v), MaxInputBytes)
	}
	if !utf8.Valid(v) {
		return refuse(InvalidUTF8, path, "%s is not valid UTF-8: encode it as UTF-8.", path)
	}
	depth, digits := nesting(v)
	if depth > maxInputNesting {
		return refuse(InvalidInput, path, "%s is nested %d levels deep: use at most %d.", path, depth, maxInputNesting)
	}
	if digits > maxInputDigits {
		return refuse(InvalidInput, path, "%s has a number of %d digits, and Python reads at most %d: write it as a string.", path, digits, maxInputDigits)
	}
	*dst = v
	return nil
}

// setTimeout reads a whole number of at least 1. Policy.timeout checks the
// maximum.
func setTimeout(dst *int, path string, v []byte) *Error {
	if isNull(v) {
		return nil
	}
	n, err := strconv.ParseFloat(string(v), 64) // JSON Schema takes 10.0 for an integer
	if kindOf(v) != "a number" || err != nil || n != float64(int32(n)) || n < 1 {
		return refuse(InvalidTimeout, path, "%s is %s: make it a whole number of seconds, at least 1.", path, clip(string(v)))
	}
	*dst = int(n)
	return nil
}

const maxShown = 80 // bytes

// clip cuts a text of the request to maxShown bytes, for a message.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// show clips and quotes a text of the request, for a message.
func show(s string) string { return strconv.Quote(clip(s)) }
