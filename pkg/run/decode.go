package run

import (
	"slices"
	"time"
)

// Decode reads a request and makes it the run that it asks for, by the
// operator's rules as they stand at now.
//
// Where it refuses, the run holds what could be read of the request, and its Key
// where the request is attributable: see [Request.Attributable] and
// [Run.Rejected]. Of a body that is no JSON nothing is read. The error's message
// names the field at fault, and Field is its path.
//
// The run's input is a part of body, which must not be changed afterwards.
func (p *Policy) Decode(body []byte, now time.Time) (Run, *Error) {
	req, bad := readRequest(body)
	r := Run{Request: req}
	if req.Attributable() {
		r.Key = KeyOf(req.Tenant, req.Source, req.ID)
	}
	if bad == nil {
		bad = checkEvent(&r.Request)
	}
	if bad == nil && r.Type != TypeCancelled {
		r.Script, bad = p.script(&r.Request, now)
	}
	return r, bad
}

// readRequest reads what is there, and answers with the first field that can't
// be read. That the event is of another kind is said before that: its fields
// are then other ones.
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

// reader goes on after a field that it can't read, to find out whose request
// it is.
type reader struct {
	req   Request
	first *Error
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
		rd.req.Tenant = "" // of two names, neither can be trusted
	}
}

func (rd *reader) data(v []byte) *Error {
	if isNull(v) {
		return nil
	}
	if v[0] != '{' {
		return refuse(InvalidData, "data", "data is %s: make it an object", kindOf(v))
	}
	rd.fields(v, "data.", dataFields, func(name string, v []byte, again bool) *Error {
		if again {
			return nil
		}
		return rd.req.Data.set(name, v)
	})
	return nil
}

// fields hands each field of an object to set; again tells that its name stood
// there before.
func (rd *reader) fields(object []byte, path string, known []string, set func(name string, v []byte, again bool) *Error) {
	seen := make([]string, 0, 16)
	for quoted, v := range members(object) {
		name, ok := unquote(quoted)
		if !ok {
			rd.note(refuse(InvalidUTF8, path+"?", "the name of a field is not valid UTF-8: take the field out"))
			continue
		}
		again := slices.Contains(seen, name)
		if again {
			rd.note(refuse(DuplicateField, path+name, "%s%s stands twice: leave one", path, name))
		} else if slices.Contains(known, name) {
			seen = append(seen, name)
		}
		if bad := set(name, v, again); bad != nil {
			rd.note(bad)
		}
	}
}
