package layer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	uvNoPackage = regexp.MustCompile(`(\S+) was not found in the (?:package registry|provided package locations)`)
	uvNoVersion = regexp.MustCompile(`there (?:is no version|are no versions) of ([^,]+?)(?: and |,|$)`)
	uvOnly      = regexp.MustCompile(`only (?:the following versions of )?(.+?) (?:is|are) available`)
	uvRequire   = regexp.MustCompile(`you require ([^,]+(?:,[<>=!~][^,\s]+)*)`)
	uvNoWheel   = regexp.MustCompile(`(?:Because|and|that) (?:all versions of )?(\S+) (?:has no usable wheels|have no usable wheels|has no wheels|have no wheels)`)
	uvBroken    = regexp.MustCompile(`(\S+) has an invalid package format`)
	uvNeedsPy   = regexp.MustCompile(`(\S+) depends on Python([<>=!~0-9.,*]+)`)
	uvPython    = regexp.MustCompile(`does not satisfy Python|requires a different Python|requested Python version`)
	uvDepends   = regexp.MustCompile(`(\S+) depends? on (\S+)`)
	uvParse     = regexp.MustCompile("Couldn't parse requirement")
	uvGlyphs    = strings.NewReplacer("╰─▶", " ", "├─▶", " ", "│", " ", "×", " ")
)

// explainUV turns uv's output into an error with its owner.
func (in installer) explainUV(ctx context.Context, s run.Script, w workshop, out string) error {
	fault, proof, err := readUV(out, s)
	if err != nil {
		return err
	}
	if name := missingVersion(fault, proof); name != "" {
		if near := in.newest(ctx, name, s, w); near != "" {
			return notFoundVersion(uvWanted(uvMissing(proof), proof, s), near, s)
		}
	}
	return fault
}

// readUV returns the fault, with uv's proof if the fault follows from one, or
// an error if the output is not recognised.
func readUV(out string, s run.Script) (fault *run.Error, proof string, err error) {
	text := strings.Join(strings.Fields(uvGlyphs.Replace(out)), " ")
	if fault := commonFault(text); fault != nil {
		return fault, "", nil
	}
	if uvParse.MatchString(text) {
		return invalid(uvBadLine(out)), "", nil
	}
	_, proof, found := strings.Cut(text, "No solution found")
	if found {
		fault = explainProof(proof, s)
	}
	if fault == nil {
		return nil, "", unknown("uv", out)
	}
	return fault, proof, nil
}

// explainProof explains uv's chain of "because". A package that does not exist
// takes precedence over versions that conflict.
func explainProof(proof string, s run.Script) *run.Error {
	because, _, _ := strings.Cut(proof, "hint:")
	switch {
	case uvNoPackage.MatchString(because):
		return notFoundPackage(uvWanted(nameOf(uvNoPackage.FindStringSubmatch(because)[1]), because, s), s)
	case uvNoWheel.MatchString(because):
		return noWheel(uvWanted(uvNoWheel.FindStringSubmatch(because)[1], because, s), s)
	case uvBroken.MatchString(because):
		return brokenWheel(uvBroken.FindStringSubmatch(because)[1])
	case uvPython.MatchString(because) && uvNeedsPy.MatchString(because):
		m := uvNeedsPy.FindStringSubmatch(because)
		return wrongPython(uvWanted(m[1], because, s), strings.TrimRight(m[2], ",."), s)
	case uvPython.MatchString(because):
		what := "A requirement"
		if m := uvRequire.FindStringSubmatch(because); m != nil {
			what = m[1]
		}
		return noWheel(wanted{what: what}, s)
	case uvMissing(proof) != "":
		return notFoundVersion(uvWanted(uvMissing(proof), because, s), "", s)
	case uvDepends.MatchString(because), strings.Contains(because, "unsatisfiable"):
		return conflict(explainConflict(because))
	}
	return nil
}

// uvWanted finds in the proof which package needs what is not available, if the
// author's requirements do not name it themselves.
func uvWanted(what, proof string, s run.Script) wanted {
	name := nameOf(what)
	w := wanted{what: what, all: strings.Contains(proof, "all versions of "+name+" ")}
	if lineOf(s.Requirements, name) != "" {
		w.all = w.all && lineOf(s.Requirements, name) == name
		return w
	}
	for _, m := range uvDepends.FindAllStringSubmatch(proof, -1) {
		if plainName(nameOf(m[2])) == plainName(name) {
			w.by = m[1]
		}
	}
	return w
}

// uvMissing is the requirement that no version matches. "Only some versions are
// available" is a fault by itself only where no other requirement restricts the
// versions.
func uvMissing(proof string) string {
	if m := uvNoVersion.FindStringSubmatch(proof); m != nil {
		return m[1]
	}
	if uvOnly.MatchString(proof) && !uvDepends.MatchString(proof) {
		if m := uvRequire.FindStringSubmatch(proof); m != nil {
			return m[1]
		}
	}
	return ""
}

func missingVersion(fault *run.Error, proof string) string {
	if fault.Type != TypeRequirementNotFound || uvNoPackage.MatchString(proof) {
		return ""
	}
	return nameOf(uvMissing(proof))
}

// explainConflict names the two conflicting requirements if it finds them in
// the proof, or else returns the proof. It prefers the author's requirements to
// those of packages.
func explainConflict(because string) string {
	_, proof, _ := strings.Cut(because, "Because ")
	var required []string
	for _, m := range uvRequire.FindAllStringSubmatch(proof, -1) {
		required = append(required, strings.Split(strings.TrimRight(m[1], ",. "), " and ")...)
	}
	clash := ""
	for _, m := range uvDepends.FindAllStringSubmatch(proof, -1) {
		needs := strings.TrimRight(m[2], ",.")
		for _, asked := range required {
			if nameOf(asked) != nameOf(needs) || asked == needs {
				continue
			}
			if clash == "" || slices.Contains(required, m[1]) {
				clash = fmt.Sprintf("%s needs %s, but %s is required too", m[1], needs, asked)
			}
		}
	}
	if clash != "" {
		return clash
	}
	proof, _, _ = strings.Cut(proof, ", we can conclude that your requirements are unsatisfiable")
	return "because " + proof
}

// uvBadLine is the requirement that uv's message underlines.
func uvBadLine(out string) string {
	lines := strings.Split(out, "\n")
	for i := 1; i < len(lines); i++ {
		if strings.HasPrefix(strings.TrimSpace(lines[i]), "^") {
			return strings.TrimSpace(lines[i-1])
		}
	}
	return strings.TrimSpace(out)
}

var pinnedLine = regexp.MustCompile(`(?m)^\S+==(\S+)$`)

// newest asks uv for the newest version that can be installed. It returns "" on
// failure; it only improves a message.
func (in installer) newest(ctx context.Context, name string, s run.Script, w workshop) string {
	reqs := filepath.Join(w.root, "newest.txt")
	if err := os.WriteFile(reqs, []byte(name+"\n"), 0o644); err != nil {
		return ""
	}
	quiet := newBuildLog(func(string) {})
	args := append([]string{"pip", "compile", reqs, "--no-deps", "--no-header", "--no-annotate", "--quiet"}, in.uvFlags(s, w)...)
	args = dropFlag(args, "--link-mode") // uv pip compile has no such flag
	out, err := in.uvCommand(args, s, w).run(ctx, quiet)
	m := pinnedLine.FindStringSubmatch(out)
	if err != nil || m == nil {
		return ""
	}
	return m[1]
}

func dropFlag(args []string, flag string) []string {
	var kept []string
	for i := 0; i < len(args); i++ {
		if args[i] == flag {
			i++
			continue
		}
		kept = append(kept, args[i])
	}
	return kept
}
