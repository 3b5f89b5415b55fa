package run

import (
	"iter"
	"regexp"
	"slices"
	"strings"
)

// NormalizeRequirements returns the canonical form of a requirements file, so
// that files that require the same give one env: one requirement a line,
// sorted, without duplicates, comments and optional spaces, names in the form
// of PEP 503. It is empty where the text requires nothing. Normalising twice
// gives the same as normalising once.
//
// Each line must be a requirement by the grammar of PEP 508 (name, extras,
// version specifiers, marker), after which hashes may stand, as pip writes them
// (--hash=sha256:…); any other is refused with its number. The
// installer reads this text on a machine of the fleet, so options, paths,
// addresses and names of environment variables would let an author act on that
// machine.
func NormalizeRequirements(text string) (string, *Error) {
	var reqs []string
	for number, line := range requirementLines(text) {
		req, bad := normalizeRequirement(line)
		if bad.reason != "" {
			return "", refuse(bad.kind, requirementsField, "%s, line %d, is %s: %s.", requirementsField, number, show(line), bad.reason)
		}
		reqs = append(reqs, req)
	}
	slices.Sort(reqs)
	return strings.Join(slices.Compact(reqs), "\n"), nil
}

const requirementsField = "data.requirements"

// requirementLines returns the lines of the text without comments and blank
// lines, with continued lines joined, and the number of the line that each
// begins at.
func requirementLines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number, first := 0, 1
		var whole strings.Builder
		for line := range strings.SplitSeq(newlines.Replace(text), "\n") {
			number++
			// A comment ends with its line, even if that ends in a backslash.
			line, continued := cutComment(line)
			whole.WriteString(line)
			if continued {
				continue
			}
			if !yieldLine(first, whole.String(), yield) {
				return
			}
			first = number + 1
			whole.Reset()
		}
		yieldLine(first, whole.String(), yield)
	}
}

func yieldLine(number int, line string, yield func(int, string) bool) bool {
	line = strings.Trim(line, " \t")
	return line == "" || yield(number, line)
}

var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// cutComment cuts the comment off a line. A comment begins with a # at the
// start of the line or after a space. A line without a comment is continued if
// it ends in a backslash.
func cutComment(line string) (rest string, continued bool) {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i], false
		}
	}
	return strings.CutSuffix(line, `\`)
}

// fault is why a line is refused: an error type and a sentence. Its reason is
// empty where the line is not refused.
type fault struct{ kind, reason string }

func invalid(reason string) fault { return fault{InvalidRequirement, reason} }

func normalizeRequirement(line string) (string, fault) {
	line, hashes, f := cutHashes(line)
	if f.reason != "" {
		return "", f
	}
	if f := unsafe(line); f.reason != "" {
		return "", f
	}
	p := requirementParser{rest: line}
	name := p.take(namePattern)
	if name == "" {
		return "", invalid("write one requirement a line, such as requests==2.32.3")
	}
	out := normalName(name)
	extras, f := p.extras()
	if f.reason != "" {
		return "", f
	}
	specs, f := p.specifiers()
	if f.reason != "" {
		return "", f
	}
	marker, f := p.marker()
	if f.reason == "" && hashes != "" && !exactPattern.MatchString(specs) {
		return "", invalid("a hash belongs to one version: write it with ==, such as requests==2.32.3")
	}
	return out + extras + specs + marker + hashes, f
}

var (
	hashDigest   = regexp.MustCompile(`^(?:sha256:[0-9a-fA-F]{64}|sha384:[0-9a-fA-F]{96}|sha512:[0-9a-fA-F]{128})$`)
	hashBegin    = regexp.MustCompile(`[ \t]--hash[= ]`)
	exactPattern = regexp.MustCompile(`^==[^,*=]+$`)
)

// cutHashes cuts the hashes off the end of a line, and returns them sorted, each
// with a space in front.
func cutHashes(line string) (rest, hashes string, f fault) {
	begin := hashBegin.FindStringIndex(line)
	if begin == nil {
		return line, "", fault{}
	}
	var all []string
	for _, option := range strings.Fields(strings.ReplaceAll(line[begin[0]:], "--hash ", "--hash=")) {
		digest, ok := strings.CutPrefix(option, "--hash=")
		if !ok || !hashDigest.MatchString(digest) {
			return "", "", invalid("write hashes after the version as --hash=sha256:… with 64 hexadecimal digits (sha384 and sha512 are taken too)")
		}
		all = append(all, " --hash="+strings.ToLower(digest))
	}
	slices.Sort(all)
	return strings.TrimRight(line[:begin[0]], " \t"), strings.Join(slices.Compact(all), ""), fault{}
}

var archives = []string{".whl", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma", ".egg"}

// unsafe refuses a line that an installer would read as an option, a path, an
// address or a variable. The grammar refuses most of these too, but with a less
// useful reason.
func unsafe(line string) fault {
	lower := strings.ToLower(line)
	named, _, _ := strings.Cut(lower, ";")
	named = strings.Trim(named, " \t")
	switch {
	case strings.HasSuffix(line, `\`):
		return invalid("a backslash continues a line only at its very end: remove the spaces after it")
	case strings.HasPrefix(line, "-") || strings.Contains(line, " -") || strings.Contains(line, "\t-"):
		return fault{UnsafeRequirement, "options are not taken, but for --hash after a version: write the packages alone, by name"}
	case strings.Contains(line, "$"):
		return fault{UnsafeRequirement, "variables are not taken: write the value itself"}
	case strings.Contains(named, "://") || strings.Contains(named, "@") || strings.HasPrefix(named, "git+") || strings.HasPrefix(named, "file:"):
		return fault{UnsafeRequirement, "addresses are not taken: name the package, and its version, on the package index"}
	case strings.HasPrefix(line, ".") || strings.HasPrefix(line, "~") || strings.ContainsAny(named, `/\`):
		return fault{UnsafeRequirement, "paths are not taken: name the package, and its version, on the package index"}
	}
	for _, a := range archives {
		if strings.HasSuffix(named, a) {
			return fault{UnsafeRequirement, "files are not taken: name the package, and its version, on the package index"}
		}
	}
	return fault{}
}

// requirementParser parses a requirement part by part. Each method cuts its
// part from the front of rest.
type requirementParser struct{ rest string }

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`)
	nameRuns    = regexp.MustCompile(`[-_.]+`)
	opPattern   = regexp.MustCompile(`^(?:===|~=|==|!=|<=|>=|<|>)`)
	rawVersion  = regexp.MustCompile(`^[A-Za-z0-9_.*+!-]+`)

	// Versions by PEP 440 in lower case: epoch, release, pre, post, dev.
	// exactVersion, for == and != only, also takes .* or a local version such
	// as +cu121 at the end.
	release      = `v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*`
	suffixes     = `(?:[-_.]?(?:alpha|a|beta|b|preview|pre|c|rc)[-_.]?[0-9]*)?(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?`
	dev          = `(?:[-_.]?dev[-_.]?[0-9]*)?`
	version      = regexp.MustCompile(`^` + release + suffixes + dev + `$`)
	exactVersion = regexp.MustCompile(`^` + release + suffixes + `(?:\.\*|` + dev + `(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?)$`)
	twoReleases  = regexp.MustCompile(`^v?(?:[0-9]+!)?[0-9]+\.[0-9]+`)
)

// normalName returns a name in the form of PEP 503: My.Pkg_1 becomes my-pkg-1.
func normalName(name string) string {
	return strings.ToLower(nameRuns.ReplaceAllString(name, "-"))
}

func (p *requirementParser) space() { p.rest = strings.TrimLeft(p.rest, " \t") }

// take cuts off the space in front and then a match of pattern, which it
// returns; "" where pattern does not match.
func (p *requirementParser) take(pattern *regexp.Regexp) string {
	p.space()
	s := pattern.FindString(p.rest)
	p.rest = p.rest[len(s):]
	return s
}

// skip cuts off the space in front and then token, and reports whether token
// was there.
func (p *requirementParser) skip(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	p.rest = rest
	return ok
}

func (p *requirementParser) extras() (string, fault) {
	if !p.skip("[") {
		return "", fault{}
	}
	var extras []string
	for first := true; !p.skip("]"); first = false {
		if !first && !p.skip(",") {
			return "", invalid("write extras as [one,two]")
		}
		e := p.take(namePattern)
		if e == "" {
			return "", invalid("write extras as [one,two]")
		}
		extras = append(extras, normalName(e))
	}
	if len(extras) == 0 {
		return "", fault{}
	}
	slices.Sort(extras)
	return "[" + strings.Join(slices.Compact(extras), ",") + "]", fault{}
}

func (p *requirementParser) specifiers() (string, fault) {
	open := p.skip("(")
	var specs []string
	for {
		op := p.take(opPattern)
		if op == "" && len(specs) == 0 {
			break
		}
		v := strings.ToLower(p.take(rawVersion))
		if !versionFits(op, v) {
			return "", invalid("write versions as ==2.32.3 or >=2,<3")
		}
		specs = append(specs, op+v)
		if !p.skip(",") {
			break
		}
	}
	if open && (len(specs) == 0 || !p.skip(")")) {
		return "", invalid("close the parenthesis around the versions")
	}
	slices.Sort(specs)
	return strings.Join(slices.Compact(specs), ","), fault{}
}

func versionFits(op, v string) bool {
	switch op {
	case "":
		return false
	case "===":
		return v != ""
	case "==", "!=":
		return exactVersion.MatchString(v)
	case "~=":
		return version.MatchString(v) && twoReleases.MatchString(v)
	}
	return version.MatchString(v)
}

const maxMarkerNesting = 16

var (
	markerVariable = regexp.MustCompile(`^(?:python_version|python_full_version|os_name|sys_platform|platform_release|platform_system|platform_version|platform_machine|platform_python_implementation|implementation_name|implementation_version|extra)\b`)
	// markerText allows fewer characters than PEP 508 in a quoted text: those
	// that occur in versions and names of platforms. None of them has a meaning
	// to an installer that parses lines.
	markerText    = regexp.MustCompile(`^(?:"[A-Za-z0-9 ._*+!,:-]*"|'[A-Za-z0-9 ._*+!,:-]*')`)
	markerCompare = regexp.MustCompile(`^(?:===|~=|==|!=|<=|>=|<|>|in\b|not[ \t]+in\b)`)
	markerJoin    = regexp.MustCompile(`^(?:and|or)\b`)
)

// marker parses the marker and returns it with single spaces and double quotes.
// It fails if the line goes on after the marker.
func (p *requirementParser) marker() (string, fault) {
	marker := ""
	if p.skip(";") {
		m, ok := p.markerTerms(0)
		if !ok {
			return "", invalid(`write markers as ; python_version >= "3.11"`)
		}
		marker = "; " + m
	}
	if p.space(); p.rest != "" {
		return "", invalid("write one requirement a line, such as requests==2.32.3; " + show(p.rest) + " does not belong to it")
	}
	return marker, fault{}
}

// markerTerms parses comparisons and terms in parentheses, joined by "and" and
// "or".
func (p *requirementParser) markerTerms(depth int) (string, bool) {
	terms, ok := p.markerTerm(depth)
	for ok {
		join := p.take(markerJoin)
		if join == "" {
			break
		}
		var next string
		next, ok = p.markerTerm(depth)
		terms += " " + join + " " + next
	}
	return terms, ok
}

func (p *requirementParser) markerTerm(depth int) (string, bool) {
	if p.skip("(") {
		if depth == maxMarkerNesting {
			return "", false
		}
		inner, ok := p.markerTerms(depth + 1)
		return "(" + inner + ")", ok && p.skip(")")
	}
	left := p.markerOperand()
	op := strings.Join(strings.Fields(p.take(markerCompare)), " ")
	right := p.markerOperand()
	return left + " " + op + " " + right, left != "" && op != "" && right != ""
}

func (p *requirementParser) markerOperand() string {
	if v := p.take(markerVariable); v != "" {
		return v
	}
	return strings.ReplaceAll(p.take(markerText), "'", `"`)
}
