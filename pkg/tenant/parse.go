package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
)

// fault is an error of the file: what is wrong, and the path of the field, such
// as tenants.acme.max_running.
type fault struct{ path, what string }

func (f *fault) Error() string {
	if f.path == "" {
		return "settings: " + f.what
	}
	return "settings: " + f.path + ": " + f.what
}

// Parse reads the contents of a settings file. Its errors name the field at
// fault.
func Parse(data []byte) (*Settings, error) {
	if !utf8.Valid(data) {
		return nil, &fault{"", "the file is not UTF-8"}
	}
	p := parser{json.NewDecoder(bytes.NewReader(data))}
	p.UseNumber()
	s := &Settings{defaults: Defaults, set: true, tenants: map[string]*entry{}}
	all := map[string]given{}
	err := p.object("", func(key, path string) error {
		switch key {
		case "$schema":
			_, err := p.text(path)
			return err
		case "unknown":
			return s.readUnknown(p, path)
		case "defaults":
			return s.readDefaults(p, path)
		case "denied_packages":
			return s.readDenied(p, path)
		case "tenants":
			return p.object(path, func(name, path string) error {
				e, g, err := p.tenant(name, path)
				s.tenants[name], all[name] = e, g
				return err
			})
		}
		return unknownField(path)
	})
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, err
	}
	// Applied at the end, since the file may have its defaults after its
	// tenants.
	for name, own := range all {
		e := s.tenants[name]
		switches := e.switches
		e.Limits = own.over(s.defaults)
		if e.switches = switches; e.Paused {
			e.MaxRunning = 0
		}
	}
	return s, nil
}

func (s *Settings) readUnknown(p parser, path string) error {
	v, err := p.text(path)
	if err != nil {
		return err
	}
	if v != "defaults" && v != "refuse" {
		return &fault{path, fmt.Sprintf("%q is neither \"defaults\" nor \"refuse\"", v)}
	}
	s.refuseUnknown = v == "refuse"
	return nil
}

func (s *Settings) readDefaults(p parser, path string) error {
	return p.object(path, func(key, path string) error {
		f, ok := fieldOf(key)
		if !ok {
			return unknownField(path)
		}
		n, err := p.limit(f, path)
		*f.at(&s.defaults) = n
		return err
	})
}

// parser reads JSON token by token, to refuse unknown fields and fields that
// are there twice.
type parser struct{ *json.Decoder }

func (p parser) tenant(name, path string) (*entry, given, error) {
	if !isTenant(name) {
		return nil, nil, &fault{path, "a tenant's name is 1 to 63 of a-z, 0-9 and hyphens, with no hyphen in front"}
	}
	e := &entry{}
	var g given
	var more secrets
	err := p.object(path, func(key, path string) (err error) {
		if f, ok := fieldOf(key); ok {
			n, err := p.limit(f, path)
			g = append(g, value{f, n})
			return err
		}
		switch key {
		case "paused":
			e.Paused, err = p.yes(path)
		case "env_runner":
			e.NoRunner, err = p.yes(path)
			e.NoRunner = !e.NoRunner
		case "sealed_in_env_runner":
			e.SealedInRunner, err = p.yes(path)
		case "external_id":
			more.externalID, err = p.externalID(path)
		case "credentials":
			more.credentials, err = p.credentials(path)
		case "package_index":
			e.index, err = p.packageIndex(path)
		default:
			err = unknownField(path)
		}
		return err
	})
	if err == nil && len(more.credentials) > 0 && more.externalID == "" {
		err = &fault{path + ".external_id", "is missing: the tenant's credentials need one"}
	}
	if more.externalID != "" {
		e.more = &more
	}
	return e, g, err
}

func (p parser) credentials(path string) (map[string]credential.Role, error) {
	roles := map[string]credential.Role{}
	err := p.object(path, func(name, path string) (err error) {
		if !isCredential(name) {
			return &fault{path, "a credential's name has 1 to 128 bytes and no control characters"}
		}
		roles[name], err = p.role(path)
		return err
	})
	return roles, err
}

func (p parser) role(path string) (role credential.Role, err error) {
	err = p.object(path, func(key, path string) (err error) {
		switch key {
		case "role_arn":
			if role.ARN, err = p.text(path); err != nil {
				return err
			}
			if _, err := credential.CheckRoleARN(role.ARN); err != nil {
				return &fault{path, err.Error()}
			}
		case "runtimes":
			role.Runtimes, err = p.texts(path)
		default:
			err = unknownField(path)
		}
		return err
	})
	if err == nil && role.ARN == "" {
		err = &fault{path + ".role_arn", "is missing"}
	}
	return role, err
}

func isCredential(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// externalID reads an external ID: 16 characters at least, so that it cannot be
// guessed, and at most the 1,224 of the characters that STS takes.
func (p parser) externalID(path string) (string, error) {
	v, err := p.text(path)
	if err != nil {
		return "", err
	}
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_+=,.@:/-", r)
	}
	if len(v) < 16 || len(v) > 1224 || strings.ContainsFunc(v, bad) {
		return "", &fault{path, "an external ID has 16 to 1224 letters, digits and _+=,.@:/-, made at random"}
	}
	return v, nil
}

func (p parser) limit(f field, path string) (int, error) {
	t, err := p.token(path)
	if err != nil {
		return 0, err
	}
	number, ok := t.(json.Number)
	n, err := strconv.Atoi(string(number))
	if !ok || err != nil || n < f.least || n > f.most {
		return 0, &fault{path, fmt.Sprintf("must be a whole number from %d to %d; leave it out for the default", f.least, f.most)}
	}
	return n, nil
}

func (p parser) yes(path string) (bool, error) {
	t, err := p.token(path)
	if err != nil {
		return false, err
	}
	b, ok := t.(bool)
	if !ok {
		return false, &fault{path, "must be true or false"}
	}
	return b, nil
}

func (p parser) text(path string) (string, error) {
	t, err := p.token(path)
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", &fault{path, "must be a text"}
	}
	return s, nil
}

// texts reads a list of texts, none of them empty.
func (p parser) texts(path string) (all []string, err error) {
	t, err := p.token(path)
	if err != nil {
		return nil, err
	}
	if t != json.Delim('[') {
		return nil, &fault{path, "must be a list of texts"}
	}
	for p.More() {
		s, err := p.text(path)
		if err != nil {
			return nil, err
		}
		if s == "" {
			return nil, &fault{path, "a text in it is empty"}
		}
		all = append(all, s)
	}
	_, err = p.token(path)
	return all, err
}

// object reads an object, and calls each for every key. each must read the
// value.
func (p parser) object(path string, each func(key, path string) error) error {
	t, err := p.token(path)
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return &fault{path, "must be an object"}
	}
	seen := map[string]struct{}{}
	for p.More() {
		t, err := p.token(path)
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return &fault{path, "must be an object"}
		}
		below := strings.TrimPrefix(path+"."+key, ".")
		if _, twice := seen[key]; twice {
			return &fault{below, "is there twice"}
		}
		seen[key] = struct{}{}
		if err := each(key, below); err != nil {
			return err
		}
	}
	_, err = p.token(path)
	return err
}

func (p parser) token(path string) (json.Token, error) {
	t, err := p.Token()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &fault{path, "the file ends here"}
	case err != nil:
		return nil, &fault{path, fmt.Sprintf("is not JSON, at byte %d: %v", p.InputOffset(), err)}
	}
	return t, nil
}

func (p parser) end() error {
	if _, err := p.Token(); !errors.Is(err, io.EOF) {
		return &fault{"", fmt.Sprintf("something follows the settings, at byte %d", p.InputOffset())}
	}
	return nil
}

func unknownField(path string) error { return &fault{path, "is not a field of the settings"} }

func isTenant(s string) bool {
	bad := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' }
	return s != "" && len(s) <= 63 && s[0] != '-' && !strings.ContainsFunc(s, bad)
}
