package run

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"regexp"
	"strconv"
)

// RecipeVersion is part of every [EnvHash]: it is raised whenever the same
// requirements would be built into another layer.
const RecipeVersion = "2"

const (
	hashChars       = 26 // 130 bits
	tenantChars     = 16 // 80 bits
	maxPrefixLength = 19 // prefix-<16>-<26> fits Lambda's 64 characters
)

// KeyOf is the identity of the run that a tenant's request asks for.
func KeyOf(tenant, source, id string) Key {
	return Key(digest("scriptfleet.run", tenant, source, id))
}

// CancelsKey is the identity of the run that a cancellation names: one of the
// same tenant, from the same source.
func (r Run) CancelsKey() Key { return KeyOf(r.Tenant, r.Source, r.Data.Run) }

// envHash is empty where the script needs no layer. A layer of public packages
// is shared by all tenants; with a private index it is the tenant's own.
func envHash(s Script, index string) EnvHash {
	if s.Requirements == "" {
		return ""
	}
	tenant := ""
	if s.PrivateIndex != "" {
		index, tenant = s.PrivateIndex, s.Tenant
	}
	return EnvHash(digest("scriptfleet.env", RecipeVersion, s.Runtime.Lambda, s.Runtime.Platform, s.Arch, s.Requirements, index, tenant))
}

func scriptHash(s Script, handler string) ScriptHash {
	return ScriptHash(digest("scriptfleet.script", s.Tenant, s.Runtime.Name, s.Runtime.Lambda, s.Arch, string(s.EnvHash),
		s.Source, strconv.Itoa(s.TimeoutSeconds), strconv.Itoa(s.MemoryMB), handler))
}

// digest hashes the fields with their lengths, so that no two lists of fields
// read the same; the domain keeps the kinds of identity apart.
func digest(domain string, fields ...string) string {
	h := sha256.New()
	writeField(h, domain)
	for _, f := range fields {
		writeField(h, f)
	}
	return base32Of(h.Sum(nil))
}

func writeField(h hash.Hash, s string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(s)))
	h.Write(n[:])
	h.Write([]byte(s))
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func base32Of(sum []byte) string { return lowerBase32.EncodeToString(sum[:20])[:hashChars] }

// FunctionName names the function of a tenant's script, at most 64 characters.
// The prefix has passed [CheckPrefix].
func FunctionName(prefix, tenant string, h ScriptHash) string {
	return TenantPrefix(prefix, tenant) + string(h)
}

// TenantPrefix begins the names of a tenant's functions and of no other
// tenant's: all are of one length, and end in a hyphen.
func TenantPrefix(prefix, tenant string) string {
	return prefix + "-" + digest("scriptfleet.tenant", tenant)[:tenantChars] + "-"
}

// LayerName names the layer of an env.
func LayerName(prefix string, h EnvHash) string { return prefix + "-layer-" + string(h) }

var prefixPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,17}[a-z0-9])?$`)

// CheckPrefix fails for a prefix that names of functions and queues can't take.
func CheckPrefix(prefix string) error {
	if !prefixPattern.MatchString(prefix) {
		return fmt.Errorf("check prefix %q: use 1 to %d of a-z, 0-9 and hyphens, with no hyphen at either end", prefix, maxPrefixLength)
	}
	return nil
}
