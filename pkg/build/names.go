package build

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Names are made of content alone, so that a name stands for one content for
// ever: what Redis forgot is found again by its name, and a race to create it
// ends in a conflict that means that it is there.

// FunctionPrefix is what the names of all functions of a tenant, and of no
// other, begin with: a session policy for the tenant allows FunctionPrefix*.
// The tenant's name goes in as a digest of fixed length, so that none is a
// prefix of another.
func FunctionPrefix(prefix, tenant string) string {
	sum := sha256.Sum256([]byte(tenant))
	digest := base32.StdEncoding.EncodeToString(sum[:10])
	return prefix + "-" + strings.ToLower(digest) + "-"
}

// FunctionName is the name of a script's function, 44 characters longer than
// prefix: at most 64 with a prefix of up to 20.
func FunctionName(prefix string, s run.Script) string {
	return FunctionPrefix(prefix, s.Tenant) + string(s.Hash)
}

// LayerName is the name of an env's layer.
func LayerName(prefix string, env run.EnvHash) string {
	return prefix + "-env-" + string(env)
}
