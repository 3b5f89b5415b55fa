package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/scriptfleet/scriptfleet/pkg/layer"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/secret"
	"github.com/scriptfleet/scriptfleet/pkg/secret/awssecrets"
)

// indexName names a tenant's own package index in the hashes of envs; it is
// empty for a tenant without one.
func (f *Fleet) indexName(tenant string) string {
	index, ok := f.tenants.Settings().Index(tenant)
	if !ok {
		return ""
	}
	return index.Name()
}

// privateIndex returns the package index of a script of a tenant that has its
// own, with the secret, which is read for each build.
func (f *Fleet) privateIndex(ctx context.Context, s run.Script) (layer.PrivateIndex, error) {
	index, ok := f.tenants.Settings().Index(s.Tenant)
	if !ok || index.Name() != s.PrivateIndex {
		// Another index would make another env, under the hash of this one.
		return layer.PrivateIndex{}, &run.Error{Owner: run.OwnerPlatform, Type: "IndexChanged", Retryable: true,
			Message: fmt.Sprintf("The package index of tenant %s was changed in the settings while the run waited for its build. Send the run again.", s.Tenant)}
	}
	found := layer.PrivateIndex{URL: index.URL, Public: index.Public}
	if index.Secret == "" {
		return found, nil
	}
	text, err := f.secrets().Read(ctx, index.Secret)
	if err != nil {
		return layer.PrivateIndex{}, &run.Error{Owner: run.OwnerOperator, Type: "IndexSecret", Retryable: true,
			Message: fmt.Sprintf("The secret of tenant %s's package index can't be read (%v): the operator has to mend the secret, or tenants.%s.package_index.secret in the tenants' settings.", s.Tenant, err, s.Tenant)}
	}
	found.User, found.Password = userOf(text)
	return found, nil
}

// secrets reads what the settings refer to. The embedded stack has no Secrets
// Manager, so its fleet needs the SDK's variable for another address of it.
func (f *Fleet) secrets() secret.Reader {
	client := secretsmanager.NewFromConfig(f.aws, func(o *secretsmanager.Options) {
		if at := os.Getenv("AWS_ENDPOINT_URL_SECRETS_MANAGER"); at != "" {
			o.BaseEndpoint = &at
		}
	})
	return secret.Reader{Manager: awssecrets.New(client)}
}

// userOf reads "user:password", a token alone (of the user __token__, as
// package indexes have it), or an object with username and password, as Secrets
// Manager makes it.
func userOf(text string) (user, password string) {
	var pair struct{ Username, Password string }
	if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &pair) == nil && pair.Password != "" {
		return pair.Username, pair.Password
	}
	if user, password, ok := strings.Cut(text, ":"); ok {
		return user, password
	}
	return "__token__", text
}
