package run

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Reference is the text of data.script_ref: a script of the registry, which
// belongs to the tenant of the request.
type Reference struct {
	ID      string
	Version ScriptVersion // empty, or Label is empty
	Label   string        // empty for the version that was pushed last
}

// ScriptVersion identifies what was pushed: 26 characters of lower-case base32.
// The same content has the same version.
type ScriptVersion string

// MaxScriptIDBytes bounds the id of a script in the registry, and the name of a
// caller.
const MaxScriptIDBytes = 128

// MaxLabelBytes bounds a label. It is less than the length of a version, so a
// label is never taken for one.
const MaxLabelBytes = hashChars - 1

var (
	idPattern      = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$`)
	labelPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	versionPattern = regexp.MustCompile(`^[a-z2-7]{26}$`)
)

// ParseReference reads id, id@version or id@label.
func ParseReference(text string) (Reference, *Error) {
	id, rest, pinned := strings.Cut(text, "@")
	r := Reference{ID: id}
	switch {
	case !idPattern.MatchString(id) || len(id) > MaxScriptIDBytes:
		return r, refuse(InvalidReference, referenceField, "%s is %s, and its id has to be like phishing/extract: 1 to %d of a-z, 0-9, dots, hyphens and underscores, with slashes between names.", referenceField, show(text), MaxScriptIDBytes)
	case !pinned:
		return r, nil
	case versionPattern.MatchString(rest):
		r.Version = ScriptVersion(rest)
	case labelPattern.MatchString(rest) && len(rest) <= MaxLabelBytes:
		r.Label = rest
	default:
		return r, refuse(InvalidReference, referenceField, "%s is %s, and what is behind the @ is neither a version of %d characters nor a label: a label has 1 to %d of a-z, 0-9, dots, hyphens and underscores.", referenceField, show(text), hashChars, MaxLabelBytes)
	}
	return r, nil
}

func (r Reference) String() string {
	if rest := r.Label + string(r.Version); rest != "" {
		return r.ID + "@" + rest
	}
	return r.ID
}

// referenceField is the path of the reference in a request.
const referenceField = "data.script_ref"

// Reference is the run's data.script_ref; ok is false where the request carries
// its script.
func (r Run) Reference() (ref Reference, ok bool) {
	if r.Type == TypeCancelled || r.Data.ScriptRef == "" {
		return Reference{}, false
	}
	ref, bad := ParseReference(r.Data.ScriptRef)
	return ref, bad == nil
}

// Pushed is one version of a script in the registry: everything that decides
// what its runs execute.
type Pushed struct {
	Source         string `json:"source"`
	Requirements   string `json:"requirements,omitempty"`
	Runtime        string `json:"runtime,omitempty"`         // empty for the fleet's default
	TimeoutSeconds int    `json:"timeout_seconds,omitempty"` // 0 for the fleet's default
}

// Version is the digest of the content.
func (p Pushed) Version() ScriptVersion {
	return ScriptVersion(digest("scriptfleet.pushed", p.Source, p.Requirements, p.Runtime, strconv.Itoa(p.TimeoutSeconds)))
}

// Check refuses content that no fleet runs. Each fleet also has its own rules
// for runtimes and timeouts: see [Policy.Complete].
func (p Pushed) Check() *Error {
	if bad := checkScriptText("script", p.Source); bad != nil {
		return bad
	}
	if p.TimeoutSeconds < 0 || p.TimeoutSeconds > lambdaMaxTimeout {
		return refuse(InvalidTimeout, "timeout", "timeout is %d: use 1 to %d seconds.", p.TimeoutSeconds, lambdaMaxTimeout)
	}
	_, bad := requirements(Offer{}, p.Requirements)
	return bad
}

// CheckCaller refuses a text that no request can have as data.caller.
func CheckCaller(name string) *Error {
	return checkText(InvalidCaller, "caller", name, 1, MaxScriptIDBytes)
}

// CheckTenant refuses a text that is no tenant's name.
func CheckTenant(name string) *Error { return checkTenant(name) }

// CheckLabel refuses a text that no reference can have as its label.
func CheckLabel(label string) *Error {
	r, bad := ParseReference("id@" + label)
	if bad != nil || r.Label == "" {
		return refuse(InvalidReference, "label", "The label %s is none: use 1 to %d of a-z, 0-9, dots, hyphens and underscores.", show(label), MaxLabelBytes)
	}
	return nil
}

// Complete fills in the script of a run whose request names it by reference.
// From then on the run names the version. The script is sealed, so the caller
// gets none of its text: no refusal quotes its source.
func (p *Policy) Complete(r Run, id string, pushed Pushed, now time.Time) (Run, *Error) {
	content := r.Request
	content.Data.Script, content.Data.Requirements = pushed.Source, pushed.Requirements
	content.Data.Runtime, content.Data.TimeoutSeconds = pushed.Runtime, pushed.TimeoutSeconds
	bad := checkScriptText("data.script", pushed.Source)
	if bad == nil {
		r.Script, bad = p.script(&content, true, now)
		r.Warning = p.warning(r.Script, now)
	}
	r.Data.ScriptRef = Reference{ID: id, Version: pushed.Version()}.String()
	if bad != nil {
		return r, &Error{Owner: bad.Owner, Type: bad.Type, Field: referenceField,
			Message: "The script " + r.Data.ScriptRef + " cannot run: " + strings.ReplaceAll(bad.Message, "data.", "its ")}
	}
	return r, nil
}
