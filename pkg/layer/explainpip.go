package layer

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	pipNoMatch  = regexp.MustCompile(`Could not find a version that satisfies the requirement (.+?) \(from versions: ([^)]*)\)`)
	pipWanted   = regexp.MustCompile(`^(.+?)(?: \(from ([^)]*)\))?$`)
	pipConflict = regexp.MustCompile(`(?s)The conflict is caused by:\n(.+?)\n(?:\s*\n|To fix this)`)
	pipDepends  = regexp.MustCompile(`^(\S+) (\S+) depends on (.+)$`)
	pipInvalid  = regexp.MustCompile(`Invalid requirement: ['"](.+?)['"]`)
	pipVersion  = regexp.MustCompile(`InvalidVersion|InvalidSpecifier|Invalid version:`)

	// Reasons in pip's verbose output for passing over a file.
	pipSkipped = regexp.MustCompile(`(?i)(?:No sources permitted|none of the wheel's tags|requires a different Python|Skipping link: [^:]*not (?:supported|compatible)).*`)
	pipFetch   = regexp.MustCompile(`Could not fetch URL \S+ (.*)`)
	pipMissing = regexp.MustCompile(`404 Client Error|404 Not Found|410 `)
)

// explainPip turns pip's output into an error with its owner. pip prints the
// same message for a package that does not exist, for one without wheels, and
// for an index that is down; its verbose output distinguishes them.
func (in installer) explainPip(ctx context.Context, s run.Script, w workshop, python interpreter.Interpreter, out string) error {
	fault, requirement, versions, err := readPip(out, s)
	switch {
	case err != nil:
		return err
	case fault != nil:
		return fault
	}
	more, err := in.askPip(ctx, pipRequirement(requirement, s).what, s, w, python)
	if err != nil {
		return err
	}
	return explainNoMatch(pipRequirement(requirement, s), versions, more, s)
}

// pipRequirement parses a requirement and what needs it, as pip prints them:
// "sgmllib3k (from feedparser==6.0.11->-r requirements.txt (line 1))".
func pipRequirement(text string, s run.Script) wanted {
	m := pipWanted.FindStringSubmatch(text)
	w := wanted{what: m[1]}
	by, _, _ := strings.Cut(m[2], "->")
	if nameOf(by) != "" {
		w.by = by
		if line := lineOf(s.Requirements, nameOf(by)); line != "" {
			w.by = line
		}
	}
	return w
}

// readPip returns the fault; or the requirement that pip could not meet and the
// versions that it listed; or an error if the output is not recognised.
func readPip(out string, s run.Script) (fault *run.Error, requirement, versions string, err error) {
	if strings.Contains(out, "No module named pip") {
		return noInstaller(s.Runtime), "", "", nil
	}
	if fault := commonFault(out); fault != nil {
		return fault, "", "", nil
	}
	if m := pipConflict.FindStringSubmatch(out + "\n\n"); m != nil {
		return conflict(pipClash(m[1])), "", "", nil
	}
	if strings.Contains(out, "ResolutionImpossible") {
		return conflict("pip found no versions that fit together"), "", "", nil
	}
	if m := pipInvalid.FindStringSubmatch(out); m != nil {
		return invalid(m[1]), "", "", nil
	}
	if pipVersion.MatchString(out) {
		return invalid(strings.TrimSpace(s.Requirements)), "", "", nil
	}
	if m := pipNoMatch.FindStringSubmatch(out); m != nil {
		return nil, m[1], m[2], nil
	}
	return nil, "", "", unknown("pip", out)
}

// askPip runs pip once more for the one requirement, with verbose output that
// gives the reason for each file that it passes over.
func (in installer) askPip(ctx context.Context, requirement string, s run.Script, w workshop, python interpreter.Interpreter) (string, error) {
	args := append([]string{"-m", "pip", "download", "-vv", "--no-deps", "--dest", filepath.Join(w.root, "asked")}, in.pipFlags(s)...)
	args = append(dropSwitch(args, "--no-compile"), "--", requirement)
	ask := in.pipCommand(args, python, w)
	ask.most = 20_000
	out, err := ask.run(ctx, newBuildLog(func(string) {}))
	if err != nil && !exited(err) {
		return "", err
	}
	return out, nil
}

func dropSwitch(args []string, flag string) []string {
	var kept []string
	for _, a := range args {
		if a != flag {
			kept = append(kept, a)
		}
	}
	return kept
}

func explainNoMatch(w wanted, versions, more string, s run.Script) error {
	none := versions == "" || versions == "none"
	for _, m := range pipFetch.FindAllStringSubmatch(more, -1) {
		if !pipMissing.MatchString(m[1]) {
			if fault := commonFault(m[1]); fault != nil {
				return fault
			}
			return commonFault("failed to fetch")
		}
	}
	pin := pinOf(w.what)
	for _, line := range pipSkipped.FindAllString(more, -1) {
		if none && pin == "" || pin != "" && carriesVersion(line, pin) {
			w.all = w.what == nameOf(w.what)
			return noWheel(w, s)
		}
	}
	if none && !pipSkipped.MatchString(more) {
		return notFoundPackage(wanted{what: nameOf(w.what), by: w.by}, s)
	}
	return notFoundVersion(w, lastVersions(versions), s)
}

// carriesVersion tells whether the line names a file of the version.
func carriesVersion(line, version string) bool {
	v := regexp.QuoteMeta(version)
	return regexp.MustCompile(`-` + v + `(?:-|\.tar|\.zip|\.tgz|\s|$)`).MatchString(line)
}

// lastVersions are the three newest versions of pip's list, newest first.
func lastVersions(list string) string {
	all := strings.Split(list, ", ")
	if list == "" || list == "none" {
		return ""
	}
	var near []string
	for i := len(all) - 1; i >= 0 && len(near) < 3; i-- {
		near = append(near, all[i])
	}
	return strings.Join(near, ", ")
}

// pipClash turns pip's list of conflicting requirements into a sentence. Each
// package is named once, however many of its versions pip has tried.
func pipClash(list string) string {
	var asked, needs []string
	versions := map[string]int{}
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if m := pipDepends.FindStringSubmatch(line); m != nil {
			if versions[m[1]]++; versions[m[1]] == 1 {
				needs = append(needs, line)
			}
		} else if line != "" && !slices.Contains(asked, line) {
			asked = append(asked, line)
		}
	}
	var parts []string
	for _, line := range asked {
		parts = append(parts, strings.Replace(line, "The user requested", "the requirements ask for", 1))
	}
	for _, line := range needs {
		m := pipDepends.FindStringSubmatch(line)
		part := fmt.Sprintf("%s %s needs %s", m[1], m[2], m[3])
		if n := versions[m[1]]; n > 1 {
			part += fmt.Sprintf(" (none of the %d versions that were tried fits)", n)
		}
		parts = append(parts, part)
	}
	if len(parts) > 4 {
		parts = append(parts[:4], fmt.Sprintf("and %d more", len(parts)-4))
	}
	return strings.Join(parts, "; ")
}
