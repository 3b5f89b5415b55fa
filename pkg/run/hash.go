package run

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
)

// RecipeVersion is part of every [EnvHash]. Raise it with every change of
// pkg/layer that makes another layer from the same requirements.
const RecipeVersion = "3"

const (
	hashChars       = 26 // 130 bits
	tenantChars     = 16 // 80 bits
	maxPrefixLength = 19 // prefix-<16>-<26> fits Lambda's 64 characters
)

// KeyOf returns the identity of the run that a tenant's request asks for.
func KeyOf(tenant, source, id string) Key {
	return Key(digest("scriptfleet.run", tenant, source, id))
}

// CancelsKey returns the identity of the run that a cancellation names: the run
// of the same tenant and source whose id is data.run.
func (r Run) CancelsKey() Key { return KeyOf(r.Tenant, r.Source, r.Data.Run) }

// envHash is empty where the script has no requirements and so needs no layer.
// All tenants share a layer of packages from the operator's index. If the
// tenant has a private index, its name is part of the hash, so the layer is the
// tenant's own.
func envHash(s Script, index string) EnvHash {
	if s.Requirements == "" {
		return ""
	}
	tenant := ""
	if s.PrivateIndex != "" {
		index, tenant = s.PrivateIndex, s.Tenant
	}
	fields := []string{RecipeVersion, s.Runtime.Lambda, s.Runtime.Platform, s.Arch, s.Requirements, index, tenant}
	if s.Runtime.Zip != "" {
		fields = append(fields, s.Runtime.Zip) // two custom runtimes differ in nothing else that is here
	}
	return EnvHash(digest("scriptfleet.env", fields...))
}

// runtimeHash is empty where Lambda has the interpreter. All tenants share the
// layer of an interpreter.
func runtimeHash(s Script) EnvHash {
	if s.Runtime.Zip == "" {
		return ""
	}
	return EnvHash(digest("scriptfleet.runtime", s.Runtime.Zip, s.Arch))
}

// Interpreter is the script's custom runtime alone, in the form of an env: what
// the runtime's layer is built from.
func (s Script) Interpreter() Script {
	return Script{Runtime: s.Runtime, Arch: s.Arch, EnvHash: s.RuntimeHash}
}

// HashOf returns the identity of a script, whose Hash may not be set.
func HashOf(s Script) ScriptHash {
	return ScriptHash(digest("scriptfleet.script", s.HashFields()...))
}

// HashFields are what the script's hash is made of. An env runner holds its own,
// and computes the hash of each script that it is given from them: with the
// source and the timeout of that script in their places, with "sealed" behind
// the handler's version if the script is sealed, and without "runner" at the end.
func (s Script) HashFields() []string {
	fields := []string{s.Tenant, s.Runtime.Name, s.Runtime.Lambda, s.Arch, string(s.EnvHash),
		s.Source, strconv.Itoa(s.TimeoutSeconds), strconv.Itoa(s.MemoryMB), s.Handler}
	if s.Sealed {
		fields = append(fields, "sealed") // its function shows no text of the script
	}
	if s.RuntimeHash != "" {
		fields = append(fields, string(s.RuntimeHash))
	}
	if s.Runner {
		fields = append(fields, "runner")
	}
	return fields
}

// digest hashes each field after its length, so that two lists of fields never
// give the same bytes: ("ab", "c") differs from ("a", "bc"). The domain
// separates the kinds of identity.
func digest(domain string, fields ...string) string {
	size := 8 + len(domain)
	for _, f := range fields {
		size += 8 + len(f)
	}
	b := appendField(make([]byte, 0, size), domain)
	for _, f := range fields {
		b = appendField(b, f)
	}
	sum := sha256.Sum256(b)
	return base32Of(sum[:])
}

func appendField(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func base32Of(sum []byte) string { return lowerBase32.EncodeToString(sum[:20])[:hashChars] }

// FunctionName returns the name of the function of a tenant's script: at most
// 63 characters, of the 64 that Lambda takes. The prefix must have passed
// [CheckPrefix].
func FunctionName(prefix, tenant string, h ScriptHash) string {
	return TenantPrefix(prefix, tenant) + string(h)
}

// TenantPrefix returns the beginning of the names of all functions of a tenant.
// The names of other tenants' functions do not begin with it: under one prefix,
// all of these have the same length.
func TenantPrefix(prefix, tenant string) string {
	return prefix + "-" + digest("scriptfleet.tenant", tenant)[:tenantChars] + "-"
}

// LayerName returns the name of the layer of an env.
func LayerName(prefix string, h EnvHash) string { return prefix + "-layer-" + string(h) }

var prefixPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,17}[a-z0-9])?$`)

// CheckPrefix fails for a prefix with which the names of functions or queues
// would be too long or invalid.
func CheckPrefix(prefix string) error {
	if !prefixPattern.MatchString(prefix) {
		return fmt.Errorf("check prefix %q: use 1 to %d of a-z, 0-9 and hyphens, with no hyphen at either end", prefix, maxPrefixLength)
	}
	return nil
}
