package run

import (
	"slices"
	"time"
)

// Decode reads a request and returns the run that it asks for, by the
// operator's rules at the time now.
//
// If it refuses the request, the run holds the fields that could be read, and
// its Key if the request is attributable: see [Request.Attributable] and
// [Run.Rejected]. If the body is not JSON, the run is zero. The error's message
// names the field at fault, and its Field is that field's path.
//
// The script of a request with a script_ref is left for [Policy.Complete].
//
// The run's input is a slice of body, so the caller must not change body
// afterwards.
func (p *Policy) Decode(body []byte, now time.Time) (Run, *Error) {
	req, bad := readRequest(body)
	r := Run{Request: req}
	if req.Attributable() {
		r.Key = KeyOf(req.Tenant, req.Source, req.ID)
	}
	if bad == nil {
		bad = checkEvent(&r.Request)
	}
	if bad == nil && r.Type != TypeCancelled && r.Data.ScriptRef == "" {
		r.Script, bad = p.script(&r.Request, false, now)
		r.Warning = p.warning(r.Script, now)
	}
	return r, bad
}

// readRequest reads all fields that it can, and returns the error of the first
// field that it cannot. An error of specversion or type goes first, since an
// event of another type has other fields.
func readRequest(body []byte) (Request, *Error) {
	if bad := checkJSON(body); bad != nil {
		return Request{}, bad
	}
	var rd reader
	rd.envelope(body)
	if bad := checkKind(&rd.req); bad != nil {
		return rd.req, bad
	}
	return rd.req, rd.first
}

// reader reads a request. It goes on after a field that it cannot read, so that
// a refused request still has its tenant, source and id.
type reader struct {
	req   Request
	first *Error // the first error that was found
}

func (rd *reader) note(e *Error) {
	if rd.first == nil {
		rd.first = e
	}
}

func (rd *reader) envelope(body []byte) {
	var vague bool
	rd.fields(body, "", envelopeFields, func(name string, v []byte, again bool) *Error {
		switch {
		case again:
			vague = vague || name == "tenant" || name == "source" || name == "id"
			return nil
		case name == "data":
			return rd.data(v)
		}
		return rd.req.set(name, v)
	})
	if vague {
		rd.req.Tenant = "" // tenant, source or id occurs twice: the request is not attributable
	}
}

func (rd *reader) data(v []byte) *Error {
	if isNull(v) {
		return nil
	}
	if v[0] != '{' {
		return refuse(InvalidData, "data", "data is %s: make it an object.", kindOf(v))
	}
	rd.fields(v, "data.", dataFields, func(name string, v []byte, again bool) *Error {
		if again {
			return nil
		}
		return rd.req.Data.set(name, v)
	})
	return nil
}

// fields calls set for each field of an object. again is set where a known name
// occurs for the second time.
func (rd *reader) fields(object []byte, path string, known []string, set func(name string, v []byte, again bool) *Error) {
	seen := make([]string, 0, 16)
	for quoted, v := range members(object) {
		name, ok := unquote(quoted)
		if !ok {
			rd.note(refuse(InvalidUTF8, path+"?", "The name of a field is not valid UTF-8: take the field out."))
			continue
		}
		again := slices.Contains(seen, name)
		if again {
			rd.note(refuse(DuplicateField, path+name, "%s%s is there twice: leave one.", path, name))
		} else if slices.Contains(known, name) {
			seen = append(seen, name)
		}
		if bad := set(name, v, again); bad != nil {
			rd.note(bad)
		}
	}
}
