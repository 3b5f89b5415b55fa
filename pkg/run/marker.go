package run

import (
	"regexp"
	"strings"
)

const maxMarkerNesting = 16

var (
	markerVariable = regexp.MustCompile(`^(?:python_version|python_full_version|os_name|sys_platform|platform_release|platform_system|platform_version|platform_machine|platform_python_implementation|implementation_name|implementation_version|extra)\b`)
	// markerText is narrower than PEP 508's: what versions and names of platforms
	// are made of. Nothing in it means anything to an installer that reads lines.
	markerText    = regexp.MustCompile(`^(?:"[A-Za-z0-9 ._*+!,:-]*"|'[A-Za-z0-9 ._*+!,:-]*')`)
	markerCompare = regexp.MustCompile(`^(?:===|~=|==|!=|<=|>=|<|>|in\b|not[ \t]+in\b)`)
	markerJoin    = regexp.MustCompile(`^(?:and|or)\b`)
)

// marker takes the marker and what is left of the line, and writes it with
// single spaces and double quotes.
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

// markerTerms are comparisons, or terms in parentheses, joined by and and or.
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
