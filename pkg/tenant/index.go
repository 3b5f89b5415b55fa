package tenant

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/secret"
)

// Index is a tenant's own package index.
type Index struct {
	URL    string // without credentials
	Secret string // reference to "user:password", or to a token alone; empty for an open index
	// Public tells whether packages that the tenant's index does not have come
	// from the public one. A name that the tenant's index has is never looked
	// up in the public one.
	Public bool
}

// Name identifies the index in the hashes of envs: it tells the address and the
// order, not the secret, whose rotation builds nothing again.
func (i Index) Name() string {
	if i.Public {
		return i.URL + " then the public index"
	}
	return i.URL
}

// Index returns the tenant's own package index, if it has one.
func (s *Settings) Index(tenant string) (Index, bool) {
	e, ok := s.tenants[tenant]
	if !ok || e.index == nil {
		return Index{}, false
	}
	return *e.index, true
}

// packageIndex reads a tenant's package_index.
func (p parser) packageIndex(path string) (*Index, error) {
	i := Index{Public: true}
	err := p.object(path, func(key, path string) (err error) {
		switch key {
		case "url":
			i.URL, err = p.indexURL(path)
		case "secret":
			i.Secret, err = p.secretRef(path)
		case "public":
			i.Public, err = p.public(path)
		default:
			err = unknownField(path)
		}
		return err
	})
	if err == nil && i.URL == "" {
		err = &fault{path + ".url", "is missing"}
	}
	return &i, err
}

func (p parser) indexURL(path string) (string, error) {
	text, err := p.text(path)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsAny(text, "?#"):
		return "", &fault{path, "must be the http or https address of a package index, such as https://pypi.example.com/simple/"}
	case u.User != nil:
		return "", &fault{path, "has credentials in it: take them out, and refer to them in \"secret\""}
	}
	return text, nil
}

func (p parser) secretRef(path string) (string, error) {
	ref, err := p.text(path)
	if err != nil {
		return "", err
	}
	if err := secret.Check(ref); err != nil {
		return "", &fault{path, err.Error()}
	}
	return ref, nil
}

func (p parser) public(path string) (bool, error) {
	v, err := p.text(path)
	if err == nil && v != "after" && v != "never" {
		err = &fault{path, fmt.Sprintf("%q is neither \"after\" nor \"never\"", v)}
	}
	return v == "after", err
}
