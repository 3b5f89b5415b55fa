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
	"iter"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
)

// Limits is what a tenant may take.
type Limits struct {
	// MaxRunning is how many of the tenant's runs execute at a time in the whole
	// fleet. 0 takes none: the tenant's runs wait.
	MaxRunning int
	// MaxRunningPerScript is the same for each of its scripts; 0 is no such cap.
	MaxRunningPerScript int
	// Weight is the tenant's share of a busy worker beside the others'.
	Weight int
	// MaxBacklog is how many of its runs may wait on its partitions; what is
	// over goes to the side partition.
	MaxBacklog int
	// Partitions is the size of its shard.
	Partitions int
	// MemoryMB is the memory of its functions; 0 is the operator's default.
	MemoryMB int
}

// Tenant is what is set for one.
type Tenant struct {
	Limits
	ExternalID  string            // goes with every role of its; empty where it has none
	Credentials map[string]string // role ARNs by the credentials' names; not to be changed
}

// Defaults are the limits of a tenant for which nothing is set.
//
// 50 at a time is a twentieth of the concurrency that an account has to begin
// with: one tenant that floods leaves 95 % of it to the others, and it takes
// twenty at their cap before Lambda throttles. 10,000 waiting runs are an hour
// of work at one second each with three at a time, and far below what a queue
// holds in flight. Two partitions of a tenant: of N, one in N(N-1)/2 others
// shares both, and one full partition leaves the other.
var Defaults = Limits{MaxRunning: 50, Weight: 1, MaxBacklog: 10_000, Partitions: 2}

// Settings is a file, read. The zero value has the defaults for everybody.
type Settings struct {
	defaults      Limits
	set           bool // defaults is
	refuseUnknown bool
	tenants       map[string]*entry
}

// entry is kept small: a file may name 100,000.
type entry struct {
	limits [fieldCount]int32
	more   *secrets // nil for most
}

type secrets struct {
	externalID  string
	credentials map[string]string
}

// For returns what is set for a tenant. known is false where the file does not
// name it and unknown tenants are refused.
func (s *Settings) For(tenant string) (t Tenant, known bool) {
	e, ok := s.tenants[tenant]
	if !ok {
		return Tenant{Limits: s.fallback()}, !s.refuseUnknown
	}
	t.Limits = limitsOf(e.limits)
	if e.more != nil {
		t.ExternalID, t.Credentials = e.more.externalID, e.more.credentials
	}
	return t, true
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
