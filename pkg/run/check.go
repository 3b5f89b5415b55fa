package run

import (
	"strings"
	"unicode"
)

// Bounds on the texts of a request, in bytes. They are scriptfleet's own.
const (
	MaxTenantBytes       = 63
	MaxSourceBytes       = 512
	MaxIDBytes           = 256
	MaxActionBytes       = 256
	MaxCredentialBytes   = 128
	MaxScriptBytes       = 4 << 20
	MaxRequirementsBytes = 64 << 10
	maxAttributeBytes    = 512 // of each other attribute of CloudEvents
)

// checkKind checks specversion and type. An absent specversion becomes 1.0, an
// absent type scriptfleet.run.requested.
func checkKind(r *Request) *Error {
	if r.SpecVersion == "" {
		r.SpecVersion = SpecVersion
	}
	if r.Type == "" {
		r.Type = TypeRequested
	}
	if r.SpecVersion != SpecVersion {
		return refuse(InvalidSpecVersion, "specversion", "specversion is %s: make it %q.", show(r.SpecVersion), SpecVersion)
	}
	switch r.Type {
	case TypeRequested, TypeCancelled, TypeSaved:
		return nil
	}
	return refuse(InvalidType, "type", "type is %s: make it %s, %s or %s.", show(r.Type), TypeRequested, TypeCancelled, TypeSaved)
}

// checkEvent checks the request against the rules that do not depend on the
// operator's policy.
func checkEvent(r *Request) *Error {
	if bad := checkNeeded(r); bad != nil {
		return bad
	}
	if bad := checkIdentity(r); bad != nil {
		return bad
	}
	if bad := checkAttributes(r); bad != nil {
		return bad
	}
	if r.Type == TypeCancelled {
		return checkCancellation(r)
	}
	return checkScript(&r.Data)
}

func checkNeeded(r *Request) *Error {
	for _, f := range [...][2]string{{"tenant", r.Tenant}, {"source", r.Source}, {"id", r.ID}} {
		if f[1] == "" {
			return refuse(MissingField, f[0], "%s is missing: add it.", f[0])
		}
	}
	switch {
	case r.Type == TypeCancelled && r.Data.Run == "":
		return refuse(MissingField, "data.run", "data.run is missing: add it.")
	case r.Type != TypeCancelled && r.Data.Script == "" && r.Data.ScriptRef == "":
		return refuse(MissingField, "data.script", "data.script is missing: add it, or data.script_ref for a script of the registry.")
	}
	return nil
}

func checkIdentity(r *Request) *Error {
	if bad := checkTenant(r.Tenant); bad != nil {
		return bad
	}
	if bad := checkSource(r.Source); bad != nil {
		return bad
	}
	return checkID("id", r.ID)
}

func checkTenant(s string) *Error {
	if s == "" || len(s) > MaxTenantBytes || s[0] == '-' || strings.ContainsFunc(s, notTenant) {
		return refuse(InvalidTenant, "tenant", "tenant is %s: use 1 to %d of a-z, 0-9 and hyphens, with no hyphen in front.", show(s), MaxTenantBytes)
	}
	return nil
}

func notTenant(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' }

func checkSource(s string) *Error { return checkText(InvalidSource, "source", s, 1, MaxSourceBytes) }

func checkID(field, s string) *Error { return checkText(InvalidID, field, s, 1, MaxIDBytes) }

// checkText fails for a text that has fewer than least or more than most bytes,
// or has control characters: a queue's attributes and a log line cannot hold
// those.
func checkText(kind, field, s string, least, most int) *Error {
	if len(s) < least || len(s) > most {
		return refuse(kind, field, "%s has %d bytes: use %d to %d.", field, len(s), least, most)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return refuse(kind, field, "%s is %s: take the control characters out.", field, show(s))
	}
	return nil
}

func checkAttributes(r *Request) *Error {
	for _, f := range [...]struct {
		kind, field, value string
		most               int
	}{
		{InvalidField, "subject", r.Subject, maxAttributeBytes},
		{InvalidField, "datacontenttype", r.DataContentType, maxAttributeBytes},
		{InvalidField, "dataschema", r.DataSchema, maxAttributeBytes},
		{InvalidField, "traceparent", r.Traceparent, maxAttributeBytes},
		{InvalidField, "tracestate", r.Tracestate, maxAttributeBytes},
		{InvalidField, "data.action", r.Data.Action, MaxActionBytes},
		{InvalidCredential, "data.credential", r.Data.Credential, MaxCredentialBytes},
		{InvalidCaller, "data.caller", r.Data.Caller, MaxScriptIDBytes},
	} {
		if bad := checkText(f.kind, f.field, f.value, 0, f.most); bad != nil {
			return bad
		}
	}
	if t := r.DataContentType; t != "" && t != "application/json" && !strings.HasPrefix(t, "application/json;") {
		return refuse(InvalidField, "datacontenttype", "datacontenttype is %s: make it application/json, or leave it out.", show(t))
	}
	return nil
}

func checkCancellation(r *Request) *Error {
	d := r.Data
	for _, f := range [...]struct {
		field string
		set   bool
	}{
		{"data.runtime", d.Runtime != ""}, {"data.script", d.Script != ""}, {"data.script_ref", d.ScriptRef != ""}, {"data.caller", d.Caller != ""}, {"data.requirements", d.Requirements != ""},
		{"data.input", d.Input != nil}, {"data.timeout_seconds", d.TimeoutSeconds != 0}, {"data.credential", d.Credential != ""},
		{"data.delivery", d.Delivery != ""}, {"data.expires_at", d.ExpiresAt != nil},
	} {
		if f.set {
			return refuse(UnknownField, f.field, "%s is not a field of a cancellation: it takes only data.run and data.action.", f.field)
		}
	}
	return checkID("data.run", r.Data.Run)
}

func checkScript(d *RequestData) *Error {
	if d.Run != "" {
		return refuse(UnknownField, "data.run", "data.run is a field of a cancellation only: take it out, or make type %s.", TypeCancelled)
	}
	switch d.Delivery {
	case "", AtLeastOnce, AtMostOnce:
	default:
		return refuse(InvalidDelivery, "data.delivery", "data.delivery is %s: make it %s or %s.", show(string(d.Delivery)), AtLeastOnce, AtMostOnce)
	}
	if d.ScriptRef != "" {
		return checkReference(d)
	}
	return checkScriptText("data.script", d.Script)
}

func checkScriptText(field, s string) *Error {
	switch {
	case strings.TrimSpace(s) == "":
		return refuse(InvalidScript, field, "%s is blank: write a script that defines main(input).", field)
	case len(s) > MaxScriptBytes:
		return refuse(InvalidScript, field, "%s has %d bytes: use at most %d, and fetch data from elsewhere.", field, len(s), MaxScriptBytes)
	case strings.IndexByte(s, 0) >= 0:
		return refuse(InvalidScript, field, "%s has a NUL byte at %d, which no script may have: take it out.", field, strings.IndexByte(s, 0))
	}
	return nil
}

// checkReference checks a request without a script of its own. What a version
// was pushed with cannot be changed by a request.
func checkReference(d *RequestData) *Error {
	for _, f := range [...]struct {
		field string
		set   bool
	}{
		{"data.script", d.Script != ""}, {"data.requirements", d.Requirements != ""},
		{"data.runtime", d.Runtime != ""}, {"data.timeout_seconds", d.TimeoutSeconds != 0},
	} {
		if f.set {
			return refuse(UnknownField, f.field, "%s is set beside data.script_ref, and a script of the registry brings its own: take one of the two out.", f.field)
		}
	}
	_, bad := ParseReference(d.ScriptRef)
	return bad
}
