package auth

import "context"

// Identity is who signed a request, and what it may do.
type Identity struct {
	AccessKey string
	ARN       string // arn:aws:iam::…:root, or arn:aws:sts::…:assumed-role/ROLE/SESSION
	UserID    string // as GetCallerIdentity shows it
	Session   bool   // of a role: sessions that it assumes in turn are short

	root   bool
	limits []*Policy // each of them has to allow: the role's, then the session's
}

// Root is the account's own identity: it may do everything.
func Root(account, accessKey string) Identity {
	return Identity{AccessKey: accessKey, ARN: "arn:aws:iam::" + account + ":root", UserID: account, root: true}
}

// IsRoot says whether this is the account's own identity.
func (id Identity) IsRoot() bool { return id.root }

// Allows says whether the identity may do the action, such as
// lambda:InvokeFunction, on the resource, an ARN. An identity without a policy
// may do nothing, unless it is root.
func (id Identity) Allows(action, resource string) bool {
	if id.root {
		return true
	}
	for _, p := range id.limits {
		if allowed, denied := p.verdict(action, resource); denied || !allowed {
			return false
		}
	}
	return len(id.limits) > 0
}

// SessionOf is the identity of a role's session. Every one of the policies has to
// allow what it does.
func SessionOf(accessKey, arn, userID string, policies ...*Policy) Identity {
	return Identity{AccessKey: accessKey, ARN: arn, UserID: userID, Session: true, limits: policies}
}

type contextKey struct{}

// With returns a context that carries the identity.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// From returns the identity that signed the request of this context.
func From(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(Identity)
	return id, ok
}
