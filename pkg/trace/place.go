package trace

import (
	"encoding/base32"
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Place is where a run belongs: its trace, and the span of whoever sent the
// request. All processes compute the same one.
type Place struct {
	Key     run.Key
	TraceID trace.TraceID
	Parent  trace.SpanID // zero: the run is the root of its trace
	Sampled bool         // as the sender has decided; not valid without a parent
	state   string       // the sender's tracestate
}

// PlaceOf returns the place of a run. That is what traceparent says; else what
// header says, the AWSTraceHeader of its message; else a trace of its own, whose
// id is made from the run's key.
func PlaceOf(r run.Run, header string) Place {
	p, ok := parseTraceparent(r.Traceparent)
	switch {
	case ok:
		p.state = r.Tracestate
	case header != "":
		if p, ok = parseXRay(header); ok {
			break
		}
		fallthrough
	default:
		p = Place{TraceID: idOf(r.Key)}
	}
	p.Key = r.Key
	return p
}

// ID is the trace's id in hexadecimal, for logs; empty for a request without a
// key.
func (p Place) ID() string {
	if !p.TraceID.IsValid() {
		return ""
	}
	return p.TraceID.String()
}

// Recorded tells whether the sender records the trace.
func (p Place) Recorded() bool { return p.Parent.IsValid() && p.Sampled }

// XRay returns the place as an AWSTraceHeader. It is empty where the sender has
// given no trace: without tracing, no message gets larger.
func (p Place) XRay() string {
	if !p.Parent.IsValid() {
		return ""
	}
	id := p.TraceID.String()
	return "Root=1-" + id[:8] + "-" + id[8:] + ";Parent=" + p.Parent.String() + ";Sampled=" + p.flag()
}

// Traceparent returns the sender's span as a traceparent; empty where there is
// none.
func (p Place) Traceparent() string {
	if !p.Parent.IsValid() {
		return ""
	}
	return "00-" + p.TraceID.String() + "-" + p.Parent.String() + "-0" + p.flag()
}

func (p Place) flag() string {
	if p.Sampled {
		return "1"
	}
	return "0"
}

// Header returns the AWSTraceHeader for a message of an event with that
// traceparent.
func Header(traceparent string) string {
	if traceparent == "" {
		return ""
	}
	p, _ := parseTraceparent(traceparent)
	return p.XRay()
}

// sender is the span of whoever sent the request.
func (p Place) sender() trace.SpanContext {
	state, _ := trace.ParseTraceState(p.state) // without it the trace is still one
	c := trace.SpanContextConfig{TraceID: p.TraceID, SpanID: p.Parent, TraceState: state, Remote: true}
	if p.Sampled {
		c.TraceFlags = trace.FlagsSampled
	}
	return trace.NewSpanContext(c)
}

// parseTraceparent reads version-traceid-parentid-flags of the W3C's
// recommendation. A later version may have more after that.
func parseTraceparent(s string) (p Place, ok bool) {
	const length = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if len(s) < length || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return p, false
	}
	if len(s) > length && (s[:2] == "00" || s[length] != '-') {
		return p, false
	}
	var version, flags [1]byte
	ok = lowerHex(version[:], s[:2]) && version[0] != 0xff &&
		lowerHex(p.TraceID[:], s[3:35]) && p.TraceID.IsValid() &&
		lowerHex(p.Parent[:], s[36:52]) && p.Parent.IsValid() &&
		lowerHex(flags[:], s[53:55])
	if !ok {
		return Place{}, false
	}
	p.Sampled = flags[0]&1 == 1
	return p, true
}

// parseXRay reads Root=1-8hex-24hex;Parent=16hex;Sampled=1.
func parseXRay(header string) (p Place, ok bool) {
	for field := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			if len(value) != 35 || value[:2] != "1-" || value[10] != '-' ||
				!lowerHex(p.TraceID[:4], value[2:10]) || !lowerHex(p.TraceID[4:], value[11:]) {
				return Place{}, false
			}
		case "Parent":
			if !lowerHex(p.Parent[:], value) {
				return Place{}, false
			}
		case "Sampled":
			p.Sampled = value == "1"
		}
	}
	if !p.TraceID.IsValid() || !p.Parent.IsValid() {
		return Place{}, false
	}
	return p, true
}

func lowerHex(to []byte, s string) bool {
	if len(s) != hex.EncodedLen(len(to)) || strings.ContainsAny(s, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(to, []byte(s))
	return err == nil
}

var base32Key = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idOf is the first 128 bits of a run's key, which is a digest of 130. It is not
// valid where there is no key.
func idOf(key run.Key) (id trace.TraceID) {
	var text [26]byte
	var sum [17]byte
	if len(key) != len(text) {
		return id
	}
	copy(text[:], key)
	if n, err := base32Key.Decode(sum[:], text[:]); err == nil && n >= len(id) {
		copy(id[:], sum[:])
	}
	return id
}
