package layer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	uvNoPackage = regexp.MustCompile(`(\S+) was not found in the (?:package registry|provided package locations)`)
	uvNoVersion = regexp.MustCompile(`there (?:is no version|are no versions) of ([^,]+?)(?: and |,|$)`)
	uvOnly      = regexp.MustCompile(`only (?:the following versions of )?(.+?) (?:is|are) available`)
	uvRequire   = regexp.MustCompile(`you require ([^,]+(?:,[<>=!~][^,\s]+)*)`)
	uvNoWheel   = regexp.MustCompile(`(?:Because|and|that) (?:all versions of )?(\S+) (?:has no usable wheels|have no usable wheels|has no wheels|have no wheels)`)
	uvPython    = regexp.MustCompile(`does not satisfy Python|requires a different Python|requested Python version`)
	uvDepends   = regexp.MustCompile(`(\S+) depends on (\S+)`)
	uvParse     = regexp.MustCompile("Couldn't parse requirement")
	uvGlyphs    = strings.NewReplacer("╰─▶", " ", "├─▶", " ", "│", " ", "×", " ")
)

// explainUV says whose uv's failure is to mend.
func (in installer) explainUV(ctx context.Context, s run.Script, w workshop, out string) error {
	fault, proof, err := readUV(out, s)
	if err != nil {
		return err
	}
	if name := missingVersion(fault, proof); name != "" {
		if near := in.newest(ctx, name, s, w); near != "" {
			return notFoundVersion(uvMissing(proof), near)
		}
	}
	return fault
}

// readUV returns the fault, and the proof where it rests on one, or an error
// where nothing is understood.
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

// explainProof reads uv's chain of "because". What is not there at all goes
// before what does not fit together.
func explainProof(proof string, s run.Script) *run.Error {
	because, _, _ := strings.Cut(proof, "hint:")
	switch {
	case uvNoPackage.MatchString(because):
		return notFoundPackage(nameOf(uvNoPackage.FindStringSubmatch(because)[1]))
	case uvNoWheel.MatchString(because):
		return noWheel(uvNoWheel.FindStringSubmatch(because)[1], s.Runtime)
	case uvPython.MatchString(because):
		what := "A requirement"
		if m := uvRequire.FindStringSubmatch(because); m != nil {
			what = m[1]
		}
		return noWheel(what, s.Runtime)
	case uvMissing(proof) != "":
		return notFoundVersion(uvMissing(proof), "")
	case uvDepends.MatchString(because), strings.Contains(because, "unsatisfiable"):
		return conflict(explainConflict(because))
	}
	return nil
}

// uvMissing is the requirement that no version matches. That only some versions
// are available is a fault by itself where nothing else narrows them.
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

// explainConflict names the two that clash where the proof is short, else it is
// the proof.
func explainConflict(because string) string {
	_, proof, _ := strings.Cut(because, "Because ")
	if m := uvDepends.FindStringSubmatch(proof); m != nil {
		needs := strings.TrimRight(m[2], ",.")
		for _, r := range uvRequire.FindAllStringSubmatch(proof, -1) {
			asked := strings.TrimRight(r[1], ",. ")
			if nameOf(asked) == nameOf(needs) && asked != needs {
				return fmt.Sprintf("%s needs %s, but %s is required too", m[1], needs, asked)
			}
		}
	}
	proof, _, _ = strings.Cut(proof, ", we can conclude that your requirements are unsatisfiable")
	return "because " + proof
}

// uvBadLine is the requirement that uv's message shows above its marks.
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

// newest asks for the newest version that would install; empty where the answer
// fails. It only makes a message better.
func (in installer) newest(ctx context.Context, name string, s run.Script, w workshop) string {
	reqs := filepath.Join(w.root, "newest.txt")
	if err := os.WriteFile(reqs, []byte(name+"\n"), 0o644); err != nil {
		return ""
	}
	quiet := newBuildLog(func(string) {})
	args := append([]string{"pip", "compile", reqs, "--no-deps", "--no-header", "--no-annotate", "--quiet"}, in.uvFlags(s, w)...)
	args = dropFlag(args, "--link-mode") // compile links nothing
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
