package embedded

import (
	"strings"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// addRoles makes the roles of tenants' credentials such as the embedded STS
// knows: each trusts the external IDs of the tenants that name it, and its
// sessions may do nothing but ask who they are. So a credential can be tried
// without AWS. What a changed file no longer names stays assumable, by whoever
// knows the external ID, until the stack ends.
func (s *Stack) addRoles(settings *tenant.Settings) {
	trusts := map[string][]string{}
	for role := range settings.Roles() {
		trusts[role.ARN] = append(trusts[role.ARN], role.ExternalID)
	}
	own := ":iam::" + s.Config().Account + ":"
	for arn, externalIDs := range trusts {
		if strings.Contains(arn, own) {
			// The fleet would not assume it, and the stack's own roles are there.
			s.options.Log.Warn("a tenant's role is in the embedded stack's own account, so it can't be assumed: give it another account", zap.String("role", arn))
			continue
		}
		if err := s.AddRole(localaws.Role{ARN: arn, ExternalIDs: externalIDs}); err != nil {
			s.options.Log.Warn("a tenant's role can't be assumed here", zap.String("role", arn), zap.Error(err))
		}
	}
}
