package layer

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// PrivateIndex is a tenant's own package index.
type PrivateIndex struct {
	URL            string // without credentials
	User, Password string // empty for an index that needs none
	// Public tells whether packages that this index does not have come from the
	// builder's own index. A name that it has is taken from it alone, whichever
	// versions the other index has (first-index): nobody who publishes a
	// tenant's private name there gets into the tenant's layers.
	Public bool
}

// address is the URL with the credentials, for an installer's environment.
func (p PrivateIndex) address() (string, error) {
	u, err := url.Parse(p.URL)
	if err != nil {
		return "", fmt.Errorf("parse the address of the tenant's index: %w", err)
	}
	if p.User != "" || p.Password != "" {
		u.User = url.UserPassword(p.User, p.Password)
	}
	return u.String(), nil
}

// of returns the installer for a script: one that asks the tenant's own index
// first, if it has one.
func (in installer) of(ctx context.Context, s run.Script, find func(context.Context, run.Script) (PrivateIndex, error)) (installer, error) {
	if s.PrivateIndex == "" {
		return in, nil
	}
	private, err := find(ctx, s)
	if err != nil {
		return in, err
	}
	if private.Public && in.uv == "" {
		return in, &run.Error{Owner: run.OwnerOperator, Type: TypeInstallerMissing,
			Message: "This worker has no uv, and pip would mix the tenant's own package index with the public one: the operator has to install uv, or set \"public\": \"never\" in the tenant's package_index."}
	}
	address, err := private.address()
	if err != nil {
		return in, err
	}
	if private.Public {
		in.index = in.index.after(address)
	} else {
		in.index = in.index.only(address)
	}
	in.private = true
	return in, nil
}

// after returns the settings with one more index, which uv asks before all
// others.
func (s indexSettings) after(url string) indexSettings {
	more := indexSettings{env: map[string]string{}}
	for k, v := range s.env {
		more.env[k] = v
	}
	more.env["UV_INDEX"] = url
	if others := s.env["UV_INDEX"]; others != "" {
		more.env["UV_INDEX"] += " " + others
	}
	return more
}

// ofPrivate adds to an error about an index that the tenant has its own, which
// may be the one at fault.
func (in installer) ofPrivate(err error, s run.Script) error {
	var fault *run.Error
	if !in.private || !errors.As(err, &fault) || fault.Type != TypeIndexUnavailable {
		return err
	}
	told := *fault
	told.Message += fmt.Sprintf(" Tenant %s has a package index of its own, which is asked first: its address and the reference to its secret are tenants.%s.package_index in the tenants' settings.", s.Tenant, s.Tenant)
	return &told
}
