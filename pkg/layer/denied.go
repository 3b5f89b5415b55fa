package layer

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func (b *Builder) denied() run.Denied {
	if b.deps.Denied == nil {
		return run.Denied{}
	}
	return b.deps.Denied()
}

// constraints is the file that keeps the installer from denied versions, so
// that it takes others where the requirements allow them.
func (w workshop) constraints() string { return filepath.Join(w.root, "constraints.txt") }

// constrain is the installer's option for the file, if there is anything in it.
func (w workshop) constrain(option string) []string {
	if info, err := os.Stat(w.constraints()); err != nil || info.Size() == 0 {
		return nil
	}
	return []string{option, w.constraints()}
}

// refuseDenied refuses requirements that name a denied package, or pin a denied
// version.
func refuseDenied(denied run.Denied, s run.Script) error {
	for line := range strings.Lines(s.Requirements) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " --hash=")
		p := run.Package{Name: plainName(nameOf(line)), Version: pinOf(line)}
		if denied.Of(p) != "" {
			return packageDenied(denied, p, "")
		}
	}
	return nil
}

// becauseDenied is the error for requirements for which no versions were found:
// PackageDenied if it tells of a package of which a version is denied, which
// the installer was kept from.
func becauseDenied(denied run.Denied, err error) error {
	var fault *run.Error
	if !errors.As(err, &fault) || fault.Type != TypeRequirementConflict && fault.Type != TypeRequirementNotFound {
		return err
	}
	for _, entry := range denied.Entries() {
		name, version, one := strings.Cut(entry, "==")
		if !one || !regexp.MustCompile(`(^|[^a-z0-9-])`+regexp.QuoteMeta(name)+`([^a-z0-9-]|$)`).MatchString(strings.ToLower(fault.Message)) {
			continue
		}
		told := packageDenied(denied, run.Package{Name: name, Version: version}, "")
		told.Message += " Without it: " + fault.Message
		return told
	}
	return err
}

// packageDenied names the package, what needs it besides the author, and whom to
// ask.
func packageDenied(denied run.Denied, p run.Package, by string) *run.Error {
	entry, what := denied.Of(p), p.Name
	if p.Version != "" {
		what = p.String()
	}
	if by != "" {
		what += ", which " + by + " needs,"
	}
	reason, ask, mend := "", "the operator", "Choose another version"
	if why := denied.Reason(entry); why != "" {
		reason = " (" + why + ")"
	}
	if denied.Ask() != "" {
		ask = denied.Ask()
	}
	if !strings.Contains(entry, "==") {
		mend = "Choose another package"
	}
	return authorError(TypePackageDenied, "%s may not be used in this fleet%s. %s, or ask %s.", what, reason, mend, ask)
}

// whoNeeds is the first of the installed packages whose metadata requires the
// package, or "".
func (t tree) whoNeeds(name string) string {
	for _, f := range t {
		if !strings.HasSuffix(f.name, distInfo+"/METADATA") || f.path == "" {
			continue
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			needed, ok := strings.CutPrefix(line, "Requires-Dist: ")
			if ok && plainName(nameOf(needed)) == name {
				dir := filepath.Dir(f.name)
				return plainName(distName(dir)) + "==" + distVersion(dir)
			}
		}
	}
	return ""
}
