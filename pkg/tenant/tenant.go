// Package tenant reads the operator's file of tenants' limits and credentials,
// and follows its changes without a restart.
//
//	{ "unknown": "defaults",
//	  "defaults": { "max_running": 50, "weight": 1, "max_backlog": 10000, "partitions": 2 },
//	  "tenants": { "acme": { "max_running": 200, "weight": 4,
//	                         "external_id": "5f0c…",
//	                         "credentials": { "aws-prod": { "role_arn": "arn:aws:iam::123456789012:role/scriptfleet" } } } } }
//
// What must hold:
//
//   - A tenant has the file's value where its entry names one, else the file's
//     defaults, else the defaults of this package (see [Defaults]). A tenant
//     that the file does not name has the defaults, or is refused where
//     "unknown" says so; it costs no memory either way.
//   - A file with a fault is refused as a whole, in words that name the field:
//     what stands in it twice, or under a name that nobody reads, is a fault.
//     settings.schema.json says the same as JSON Schema.
//   - A faulty file never replaces a good one: the fleet goes on with what it
//     had, says so once as an error, and shows it in a metric until it is
//     mended.
//   - What [Settings] answers never changes; a changed file is another Settings.
package tenant

import (
	"fmt"
	"iter"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Settings is a file, read. The zero value has the defaults for everybody.
type Settings struct {
	defaults      Limits
	set           bool // defaults is
	refuseUnknown bool
	tenants       map[string]*entry
}

// entry is kept small: a file may name 100,000.
type entry struct {
	Limits
	more *secrets // nil for most
}

type secrets struct {
	externalID  string
	credentials map[string]string
}

// Limits are those of a tenant, known or not. They are asked for on the way of
// every run.
func (s *Settings) Limits(tenant string) Limits {
	if e, ok := s.tenants[tenant]; ok {
		return e.Limits
	}
	return s.fallback()
}

// Admit refuses a tenant that the file does not name, where it says that
// unknown tenants are refused.
func (s *Settings) Admit(tenant string) *run.Error {
	if _, known := s.tenants[tenant]; known || !s.refuseUnknown {
		return nil
	}
	return &run.Error{
		Owner: run.OwnerOperator, Type: "UnknownTenant", Field: "tenant",
		Message: fmt.Sprintf("tenant %s is not among the fleet's tenants: its operator adds it to the settings file, or lets unknown tenants have the defaults", tenant),
	}
}

// Role finds a tenant's credential, for credential.Assumer.
func (s *Settings) Role(tenant, name string) (credential.Role, bool) {
	e, ok := s.tenants[tenant]
	if !ok || e.more == nil {
		return credential.Role{}, false
	}
	arn, ok := e.more.credentials[name]
	return credential.Role{ARN: arn, ExternalID: e.more.externalID}, ok
}

// Roles are those of all credentials that the file names, in no order. More than
// one tenant may name a role, each under an external ID of its own.
func (s *Settings) Roles() iter.Seq[credential.Role] {
	return func(yield func(credential.Role) bool) {
		for _, e := range s.tenants {
			if e.more == nil {
				continue
			}
			for _, arn := range e.more.credentials {
				if !yield(credential.Role{ARN: arn, ExternalID: e.more.externalID}) {
					return
				}
			}
		}
	}
}

// Len is how many tenants the file names.
func (s *Settings) Len() int { return len(s.tenants) }

func (s *Settings) fallback() Limits {
	if !s.set {
		return Defaults
	}
	return s.defaults
}
