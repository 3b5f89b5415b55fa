package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// Roles are the permissions of credentials' roles in the embedded stack: from
// the name of a credential, TENANT/NAME, or the ARN of a role, to a policy. A
// role without a policy here may only call GetCallerIdentity.
type Roles map[string]string

// administrator is the policy of a role that is given without one. Every policy
// ends at the role's own account.
const administrator = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// ParseRoles reads --role NAME[=POLICY.json] flags.
func ParseRoles(flags []string) (Roles, error) {
	roles := Roles{}
	for _, f := range flags {
		name, file, given := strings.Cut(f, "=")
		if strings.HasPrefix(name, "arn:") { // it may have = in it
			if at := strings.LastIndex(f, "="); at > 0 {
				name, file = f[:at], f[at+1:]
			}
		}
		policy := administrator
		if given {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("--role %s: read the policy: %w", name, err)
			}
			policy = string(text)
		}
		if name == "" {
			return nil, fmt.Errorf("--role %q names no credential: give NAME=POLICY.json", f)
		}
		if err := localaws.CheckPolicy(policy); err != nil {
			return nil, fmt.Errorf("--role %s: %s: %w", name, file, err)
		}
		roles[name] = policy
	}
	return roles, nil
}

// policyOf is the policy of a credential's role, or "".
func (r Roles) policyOf(c tenant.Credential) string {
	for _, name := range []string{c.Tenant + "/" + c.Name, c.ARN, c.Name} {
		if policy, ok := r[name]; ok {
			return policy
		}
	}
	return ""
}

// matches tells whether a flag's name means the credential.
func matches(name string, c tenant.Credential) bool {
	return name == c.Name || name == c.Tenant+"/"+c.Name || name == c.ARN
}

// provide makes sure that the settings have a credential for each role. If no
// settings file is given, it makes one, in dir, with a role in an account of
// the tenant's own for each; the tenant of a plain name is owner.
func (r Roles) provide(file *string, dir, owner string) error {
	if len(r) == 0 {
		return nil
	}
	if *file != "" {
		return r.checkAgainst(*file)
	}
	*file = filepath.Join(dir, "tenants.json")
	return tenant.Edit(*file, func(d *tenant.Draft) error {
		for _, name := range slices.Sorted(maps.Keys(r)) {
			of, plain, both := strings.Cut(name, "/")
			if !both {
				of, plain = owner, name
			}
			if !roleName.MatchString(plain) {
				return fmt.Errorf("--role %s: without --tenants it makes a credential, whose name has up to 64 letters, digits and _+=,.@-", name)
			}
			id := d.ExternalID(of)
			if id == "" {
				id = credential.NewExternalID()
			}
			role := credential.Role{ARN: "arn:aws:iam::" + accountFor(of) + ":role/" + plain, ExternalID: id}
			if err := d.SetCredential(of, plain, role); err != nil {
				return err
			}
		}
		return nil
	})
}

var roleName = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)

// checkAgainst fails if a role is of no credential in the settings.
func (r Roles) checkAgainst(file string) error {
	read, err := tenant.New(tenant.Config{Path: file}, tenant.Deps{})
	if err != nil {
		return err
	}
	all := read.Settings().Credentials()
	for name := range r {
		if !slices.ContainsFunc(all, func(c tenant.Credential) bool { return matches(name, c) }) {
			return fmt.Errorf("--role %s: %s has no such credential; add it: scriptfleet credentials add TENANT %s --role ARN --tenants %s", name, file, name, file)
		}
	}
	return nil
}

// accountFor is the AWS account that a tenant has in the embedded stack if no
// settings name one: 9 and eleven digits.
func accountFor(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("9%011d", binary.BigEndian.Uint64(sum[:])%100_000_000_000)
}

// addRoles adds the roles of tenants' credentials to the embedded STS, so that
// credentials can be tried without AWS. Each role trusts the external IDs of
// the tenants that name it. A role that a changed file no longer names can
// still be assumed with its external ID until the stack ends.
func (s *Stack) addRoles(settings *tenant.Settings) {
	roles := map[string]localaws.Role{}
	for _, c := range settings.Credentials() {
		role := roles[c.ARN]
		role.ARN, role.ExternalIDs = c.ARN, append(role.ExternalIDs, c.ExternalID)
		if policy := s.options.Roles.policyOf(c); policy != "" {
			role.Policy = policy
		}
		roles[c.ARN] = role
	}
	own := ":iam::" + s.Config().Account + ":"
	for arn, role := range roles {
		if strings.Contains(arn, own) {
			// The fleet refuses to assume it, and adding it could replace one of
			// the stack's own roles.
			s.options.Log.Warn("a tenant's role is in the embedded stack's own account, so it can't be assumed: give it another account", zap.String("role", arn))
			continue
		}
		if err := s.AddRole(role); err != nil {
			s.options.Log.Warn("a tenant's role can't be assumed here", zap.String("role", arn), zap.Error(err))
		}
	}
}
