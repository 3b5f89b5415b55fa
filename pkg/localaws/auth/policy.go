package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Policy is an IAM policy document with the elements that the embedded stack
// supports: Effect, Action and Resource, with the wildcards * and ?. A document
// with another element (Condition, NotAction, NotResource, Principal) is
// refused: ignoring it could allow more than the document does.
type Policy struct {
	statements []statement
}

type statement struct {
	allow     bool
	actions   []string // in lower case: IAM ignores the case of actions
	resources []string
}

// AllowAll is a policy that allows everything.
func AllowAll() *Policy {
	return &Policy{statements: []statement{{allow: true, actions: []string{"*"}, resources: []string{"*"}}}}
}

// Allow is a policy that allows the actions on the resources. Without actions
// it allows nothing.
func Allow(actions, resources []string) *Policy {
	if len(actions) == 0 {
		return &Policy{}
	}
	lower := make([]string, len(actions))
	for i, a := range actions {
		lower[i] = strings.ToLower(a)
	}
	return &Policy{statements: []statement{{allow: true, actions: lower, resources: resources}}}
}

// ParsePolicy parses a policy document.
func ParsePolicy(document string) (*Policy, error) {
	var doc struct {
		Version   string
		ID        string `json:"Id"`
		Statement oneOrMore[statementJSON]
	}
	if err := strict(document, &doc); err != nil {
		return nil, fmt.Errorf("parse policy: %w", err)
	}
	if len(doc.Statement) == 0 {
		return nil, fmt.Errorf("parse policy: it has no Statement")
	}
	p := &Policy{}
	for i, s := range doc.Statement {
		parsed, err := s.parse()
		if err != nil {
			return nil, fmt.Errorf("parse policy: statement %d: %w", i, err)
		}
		p.statements = append(p.statements, parsed)
	}
	return p, nil
}

type statementJSON struct {
	Sid      string
	Effect   string
	Action   oneOrMore[string]
	Resource oneOrMore[string]
}

func (s statementJSON) parse() (statement, error) {
	if s.Effect != "Allow" && s.Effect != "Deny" {
		return statement{}, fmt.Errorf("the Effect %q is neither Allow nor Deny", s.Effect)
	}
	if len(s.Action) == 0 || len(s.Resource) == 0 {
		return statement{}, fmt.Errorf("it needs an Action and a Resource")
	}
	parsed := statement{allow: s.Effect == "Allow", resources: s.Resource}
	for _, a := range s.Action {
		parsed.actions = append(parsed.actions, strings.ToLower(a))
	}
	return parsed, nil
}

// strict decodes one JSON value and refuses unknown fields.
func strict(text string, into any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("there is more than one JSON value")
	}
	return nil
}

// oneOrMore is a JSON value that is either one element or a list of elements.
type oneOrMore[T any] []T

func (o *oneOrMore[T]) UnmarshalJSON(text []byte) error {
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '[' {
		var list []T
		err := strict(string(text), &list)
		*o = list
		return err
	}
	var one T
	err := strict(string(text), &one)
	*o = []T{one}
	return err
}

// verdict tells whether a statement allows the action on the resource, and
// whether one denies it. A denial overrides every permission.
func (p *Policy) verdict(action, resource string) (allowed, denied bool) {
	action = strings.ToLower(action)
	for _, s := range p.statements {
		if !anyMatches(s.actions, action) || !anyMatches(s.resources, resource) {
			continue
		}
		if !s.allow {
			return false, true
		}
		allowed = true
	}
	return allowed, false
}

func anyMatches(patterns []string, s string) bool {
	for _, p := range patterns {
		if matches(p, s) {
			return true
		}
	}
	return false
}

// matches compares with wildcards: * matches any number of bytes, ? exactly
// one. It backtracks to the last star only, so its time is bounded by
// len(pattern)·len(s).
func matches(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
