package run

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Denied are the packages that no layer of the fleet may have. The zero value
// denies none.
type Denied struct {
	ask     string
	reasons map[string]string // by "name" or "name==version"
	digest  string
}

// NewDenied returns the list of packages with the reason for each, and whom
// authors may ask. The packages are names, which stand for all versions, or
// name==version.
func NewDenied(ask string, packages map[string]string) (Denied, error) {
	d := Denied{ask: ask, reasons: map[string]string{}}
	for text, reason := range packages {
		entry, err := DeniedEntry(text)
		if err != nil {
			return Denied{}, err
		}
		d.reasons[entry] = reason
	}
	if len(d.reasons) > 0 {
		d.digest = digest("scriptfleet.denied", d.Entries()...)
	}
	return d, nil
}

// DeniedEntry returns an entry in its normal form.
func DeniedEntry(text string) (string, error) {
	normal, bad := NormalizeRequirements(text)
	name, version, one := strings.Cut(normal, "==")
	if bad != nil || !deniedPattern.MatchString(text) {
		return "", errors.New("write a package as a name, such as requests, or with one version, such as requests==2.31.0")
	}
	if one {
		return name + "==" + plainVersion(version), nil
	}
	return name, nil
}

var deniedPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(==[A-Za-z0-9._+!-]+)?$`)

// plainVersion leaves out zeros at the end, which mean nothing: 1.0 is 1.
func plainVersion(v string) string {
	for strings.HasSuffix(v, ".0") {
		v = strings.TrimSuffix(v, ".0")
	}
	return v
}

// Ask is whom authors may ask about a denied package; it may be empty.
func (d Denied) Ask() string { return d.ask }

// Digest is another one for another list, and empty for an empty one.
func (d Denied) Digest() string { return d.digest }

// Entries are the denied packages, sorted.
func (d Denied) Entries() []string { return slices.Sorted(maps.Keys(d.reasons)) }

// Reason is why an entry is denied; it may be empty.
func (d Denied) Reason(entry string) string { return d.reasons[entry] }

// Of returns the entry that denies the package, or "".
func (d Denied) Of(p Package) string {
	for _, entry := range [...]string{p.Name, p.Name + "==" + plainVersion(strings.ToLower(p.Version))} {
		if _, ok := d.reasons[entry]; ok {
			return entry
		}
	}
	return ""
}

// First returns the first of the packages that is denied.
func (d Denied) First(packages []Package) (Package, bool) {
	for _, p := range packages {
		if d.Of(p) != "" {
			return p, true
		}
	}
	return Package{}, false
}

// Constraints are the lines of a file that keep an installer from the denied
// versions. A name alone cannot be written so.
func (d Denied) Constraints() string {
	var lines strings.Builder
	for _, entry := range d.Entries() {
		if name, version, one := strings.Cut(entry, "=="); one {
			lines.WriteString(name + "!=" + version + "\n")
		}
	}
	return lines.String()
}

// Avoiding returns the script under identities of its own, for a build without
// the packages of a list of that digest: what was built under the usual ones
// may have them, and is not changed.
func (s Script) Avoiding(digestOfDenied string) Script {
	s.EnvHash = EnvHash(digest("scriptfleet.env.avoiding", string(s.EnvHash), digestOfDenied))
	s.Hash = ScriptHash(digest("scriptfleet.script.avoiding", string(s.Hash), digestOfDenied))
	return s
}
