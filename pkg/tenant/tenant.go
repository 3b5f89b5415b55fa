// Package tenant reads the operator's file of tenants' limits and credentials,
// and follows its changes without a restart.
//
//	{ "unknown": "defaults",
//	  "defaults": { "max_running": 50, "weight": 1, "max_backlog": 10000, "partitions": 2 },
//	  "denied_packages": { "ask": "security@example.com", "packages": { "requests==2.31.0": "CVE-2024-35195" } },
//	  "tenants": { "acme": { "max_running": 200, "weight": 4,
//	                         "external_id": "5f0c…",
//	                         "credentials": { "aws-prod": { "role_arn": "arn:aws:iam::123456789012:role/scriptfleet",
//	                                                        "runtimes": ["aws-cli"] } },
//	                         "package_index": { "url": "https://pypi.acme.example/simple/", "secret": "env:ACME_INDEX" } } } }
//
// The rules:
//
//   - A limit of a tenant is the value in the tenant's entry; if that has none,
//     the value in the file's "defaults"; if that has none, the value in
//     [Defaults]. A tenant without an entry has the defaults, or is refused if
//     "unknown" is "refuse". It uses no memory here.
//   - A file with a fault is refused as a whole, with an error that names the
//     field. A field that is unknown or there twice is a fault.
//     settings.schema.json is the same rules as a JSON Schema.
//   - "paused": true of a tenant lets its runs wait. It is in the file, and not in
//     Redis, since a pause must not end by a loss of Redis; [Draft.Pause] sets it.
//   - "env_runner": false of a tenant has its new scripts wait for their own
//     functions. "sealed_in_env_runner": true lets sealed scripts use the env
//     runners too: it is for the owner of such scripts to allow.
//   - A faulty file never replaces a good one: the fleet keeps the settings
//     that it has, logs the fault once as an error, and shows it in a metric
//     until the file is mended.
//   - A [Settings] is immutable; a changed file makes another one.
//   - [Edit] replaces the file whole, and only by one that Parse takes.
package tenant

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Settings are the contents of a file. In the zero value every tenant has the
// Defaults. It is safe for concurrent use.
type Settings struct {
	defaults      Limits
	set           bool // defaults is set; false in the zero value
	refuseUnknown bool
	denied        run.Denied
	tenants       map[string]*entry
}

// entry is a tenant's entry. It is kept small, since a file may have 100,000.
type entry struct {
	Limits
	more  *secrets // nil for a tenant without credentials
	index *Index   // nil for a tenant without a package index of its own
}

type secrets struct {
	externalID  string
	credentials map[string]credential.Role // by name, without the external ID
}

// Limits returns the limits of a tenant, whether the file names it or not. It
// is called for every run, and does no I/O.
func (s *Settings) Limits(tenant string) Limits {
	if e, ok := s.tenants[tenant]; ok {
		return e.Limits
	}
	return s.fallback()
}

// Admit returns an error of the operator's for a tenant that the file does not
// name, if the file has "unknown": "refuse"; else nil.
func (s *Settings) Admit(tenant string) *run.Error {
	if _, known := s.tenants[tenant]; known || !s.refuseUnknown {
		return nil
	}
	return &run.Error{
		Owner: run.OwnerOperator, Type: "UnknownTenant", Field: "tenant",
		Message: fmt.Sprintf("Tenant %s is not in the fleet's settings: the operator has to add it to the settings file, or set \"unknown\" to \"defaults\" there.", tenant),
	}
}

// Role returns the role of a tenant's credential, for credential.Assumer.
func (s *Settings) Role(tenant, name string) (credential.Role, bool) {
	e, ok := s.tenants[tenant]
	if !ok || e.more == nil {
		return credential.Role{}, false
	}
	role, ok := e.more.credentials[name]
	role.ExternalID = e.more.externalID
	return role, ok
}

// Credential is a tenant's credential and its role.
type Credential struct {
	Tenant, Name string
	credential.Role
}

// Credentials returns all credentials of the file, sorted by tenant and name.
func (s *Settings) Credentials() []Credential {
	var all []Credential
	for tenant, e := range s.tenants {
		if e.more == nil {
			continue
		}
		for name := range e.more.credentials {
			role, _ := s.Role(tenant, name)
			all = append(all, Credential{tenant, name, role})
		}
	}
	slices.SortFunc(all, func(a, b Credential) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Name, b.Name))
	})
	return all
}

// Names returns the tenants that the file names, in order.
func (s *Settings) Names() []string { return slices.Sorted(maps.Keys(s.tenants)) }

// Named tells whether the file names the tenant.
func (s *Settings) Named(tenant string) bool { _, ok := s.tenants[tenant]; return ok }

// Len returns how many tenants the file names.
func (s *Settings) Len() int { return len(s.tenants) }

func (s *Settings) fallback() Limits {
	if !s.set {
		return Defaults
	}
	return s.defaults
}
