package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Event is a request to send. Its fields go to the fleet byte for byte, also
// invalid ones, except for its identity and its times.
type Event struct {
	Tenant string

	source, id string     // its own; empty if it has none
	time       *time.Time // when it was recorded
	cancels    *int       // index in the batch of the request that it cancels
	envelope   object     // the other fields, without data
	data       object     // fields of data, if one of them has to change

	invalid []byte  // the whole line, if it is sent unchanged
	answers run.Key // of an invalid one: the run that a result would name; empty if none
}

// invalidEvent is a line that is sent unchanged. The fleet answers it if it
// names a run, and buries it if not.
func invalidEvent(line []byte) *Event {
	r, _ := reading.Decode(line, time.Time{})
	e := &Event{invalid: line, answers: r.Key}
	if r.Key != "" {
		e.Tenant = r.Tenant
	}
	return e
}

// reading is a policy for decoding requests of which only the identity is
// needed.
var reading = must(run.NewPolicy(run.PolicyConfig{MaxTimeoutSeconds: 900, DefaultRuntime: "python3.13", MemoryMB: 128, Handler: "none"}))

func must(p *run.Policy, err error) *run.Policy {
	if err != nil {
		panic(err)
	}
	return p
}

// ParseEvent parses an event. It fails if no result could name it, or if its
// times cannot be parsed; everything else is left to the fleet.
func ParseEvent(line []byte) (*Event, error) {
	if !utf8.Valid(line) {
		return nil, errors.New("not UTF-8")
	}
	fields, err := parseObject(line)
	if err != nil {
		return nil, err
	}
	e := &Event{}
	for i, f := range fields {
		if identifies(f.name) && slices.ContainsFunc(fields[:i], func(g field) bool { return g.name == f.name }) {
			return nil, fmt.Errorf("%s stands twice: leave one", f.name)
		}
		if err := e.read(f); err != nil {
			return nil, err
		}
	}
	named := run.Request{Tenant: e.Tenant, Source: or(e.source, "/replay"), ID: or(e.id, "x")}
	switch {
	case e.Tenant == "":
		return nil, errors.New("tenant is missing: add it")
	case !named.Attributable():
		return nil, fmt.Errorf("tenant %q, source %q, id %q: one of them is nothing that a result could name", e.Tenant, e.source, e.id)
	}
	return e, nil
}

func identifies(name string) bool { return name == "tenant" || name == "source" || name == "id" }

func (e *Event) read(f field) error {
	switch f.name {
	case "tenant":
		if err := f.into(&e.Tenant); err != nil {
			return err
		}
	case "source":
		return f.into(&e.source)
	case "id":
		return f.into(&e.id)
	case "time":
		return f.into(&e.time)
	case "data":
		// Parsed only if a field in it may change.
		if bytes.Contains(f.raw, []byte(`"expires_at"`)) || bytes.Contains(f.raw, []byte(`"run"`)) {
			if data, err := parseObject(f.raw); err == nil {
				e.data = data
				return nil
			}
		}
	}
	e.envelope = append(e.envelope, f)
	return nil
}

// target is the id of the request that a cancellation cancels.
func (e *Event) target() (id string, ok bool) {
	var kind string
	if e.envelope.text("type", &kind); kind != run.TypeCancelled {
		return "", false
	}
	return id, e.data.text("run", &id)
}

// body is the event with the given identity, sent at now.
func (e *Event) body(source, id, cancels string, now time.Time) []byte {
	if e.invalid != nil {
		return e.invalid
	}
	out := object{quoted("id", id), quoted("source", source)}
	if e.time != nil {
		out = append(out, quoted("time", now.UTC().Format(time.RFC3339Nano)))
	}
	out = append(out, e.envelope...)
	if e.data != nil {
		out = append(out, field{"data", e.changed(cancels, now).encode()})
	}
	return out.encode()
}

// changed is data with the fields that must change at now.
func (e *Event) changed(cancels string, now time.Time) object {
	data := slices.Clone(e.data)
	for i, f := range data {
		var expires time.Time
		switch {
		case f.name == "run" && cancels != "":
			data[i] = quoted("run", cancels)
		case f.name == "expires_at" && e.time != nil && f.into(&expires) == nil:
			data[i] = quoted("expires_at", now.Add(expires.Sub(*e.time)).UTC().Format(time.RFC3339Nano))
		}
	}
	return data
}

// object is a JSON object with its fields in order, each with its original
// bytes; a duplicate field stays one.
type object []field

type field struct {
	name string
	raw  json.RawMessage
}

func parseObject(text []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	fields := object{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		f := field{name: name.(string)}
		if err := dec.Decode(&f.raw); err != nil {
			return nil, fmt.Errorf("not JSON: field %s: %w", f.name, err)
		}
		fields = append(fields, f)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if rest := bytes.TrimSpace(text[dec.InputOffset():]); len(rest) > 0 {
		return nil, errors.New("more than one JSON object: write one a line")
	}
	return fields, nil
}

func (o object) encode() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(f.name))
		b.WriteByte(':')
		b.Write(f.raw)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// text reads the field into s, if it exists and is a string.
func (o object) text(name string, s *string) bool {
	i := slices.IndexFunc(o, func(f field) bool { return f.name == name })
	return i >= 0 && o[i].into(s) == nil
}

func (f field) into(v any) error {
	if err := json.Unmarshal(f.raw, v); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

func quoted(name, value string) field { return field{name, quote(value)} }

func quote(s string) []byte {
	text, _ := json.Marshal(s) // a string always encodes
	return text
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
