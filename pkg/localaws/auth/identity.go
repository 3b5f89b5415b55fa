package auth

import (
	"context"
	"strings"
)

// Identity is the signer of a request and its permissions.
type Identity struct {
	AccessKey string
	ARN       string // arn:aws:iam::…:root, or arn:aws:sts::…:assumed-role/ROLE/SESSION
	UserID    string // as GetCallerIdentity returns it
	Session   bool   // of a role: its own sessions of other roles are short (chaining)

	root   bool
	fleet  bool
	limits []*Policy // every one must allow the action: the role's policy, then the session's
}

// Root is the account's own identity, with every permission.
func Root(account, accessKey string) Identity {
	return Identity{AccessKey: accessKey, ARN: "arn:aws:iam::" + account + ":root", UserID: account, root: true, fleet: true}
}

// IsRoot tells whether this is the account's own identity.
func (id Identity) IsRoot() bool { return id.root }

// Fleet tells whether only the fleet can have this identity: root, or a session
// of a role that root alone may assume. Scripts have others.
func (id Identity) Fleet() bool { return id.fleet }

// Account is the account of the identity.
func (id Identity) Account() string { return accountOf(id.ARN) }

// accountOf is the account in an ARN, or "" if it names none, like that of a
// bucket.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// Allows tells whether the identity may perform the action, such as
// lambda:InvokeFunction, on the resource (an ARN). Without a policy only root
// may. Policies reach the identity's own account only: what another account
// has is open to those that it allows, and here none allows anybody but in the
// trust policies of roles.
func (id Identity) Allows(action, resource string) bool {
	if id.root {
		return true
	}
	if owner := accountOf(resource); owner != "" && owner != id.Account() && action != assumeRole {
		return false
	}
	for _, p := range id.limits {
		if allowed, denied := p.verdict(action, resource); denied || !allowed {
			return false
		}
	}
	return len(id.limits) > 0
}

// SessionOf is the identity of a role's session. An action needs the permission
// of every policy.
func SessionOf(accessKey, arn, userID string, policies ...*Policy) Identity {
	return Identity{AccessKey: accessKey, ARN: arn, UserID: userID, Session: true, limits: policies}
}

// assumeRole is the action that a role's trust policy decides on.
const assumeRole = "sts:AssumeRole"

type contextKey struct{}

// With returns a context with the identity.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// From returns the identity that signed the request of this context.
func From(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(Identity)
	return id, ok
}
