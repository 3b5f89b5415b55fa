package embedded

import (
	"strings"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// addRoles adds the roles of tenants' credentials to the embedded STS, so that
// credentials can be tried without AWS. Each role trusts the external IDs of
// the tenants that name it; its sessions may only call GetCallerIdentity. A
// role that a changed file no longer names can still be assumed with its
// external ID until the stack ends.
func (s *Stack) addRoles(settings *tenant.Settings) {
	trusts := map[string][]string{}
	for _, role := range settings.Credentials() {
		trusts[role.ARN] = append(trusts[role.ARN], role.ExternalID)
	}
	own := ":iam::" + s.Config().Account + ":"
	for arn, externalIDs := range trusts {
		if strings.Contains(arn, own) {
			// The fleet refuses to assume it, and adding it could replace one of
			// the stack's own roles.
			s.options.Log.Warn("a tenant's role is in the embedded stack's own account, so it can't be assumed: give it another account", zap.String("role", arn))
			continue
		}
		if err := s.AddRole(localaws.Role{ARN: arn, ExternalIDs: externalIDs}); err != nil {
			s.options.Log.Warn("a tenant's role can't be assumed here", zap.String("role", arn), zap.Error(err))
		}
	}
}
