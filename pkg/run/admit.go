package run

import (
	"fmt"
	"strings"
	"time"
)

// script checks the request against the operator's rules, and returns its
// script with the defaults filled in and the hashes computed.
func (p *Policy) script(r *Request, sealed bool, now time.Time) (Script, *Error) {
	offer, bad := p.runtime(r.Tenant, r.Data.Runtime, now)
	if bad != nil {
		return Script{}, bad
	}
	if bad = checkCoding(offer, r.Data.Script); bad != nil {
		return Script{}, bad
	}
	s := Script{Tenant: r.Tenant, Runtime: offer.Runtime, Source: r.Data.Script, MemoryMB: p.memoryMB(r.Tenant), Arch: p.c.Arch, Sealed: sealed, Handler: p.c.Handler}
	if s.TimeoutSeconds, bad = p.timeout(r.Data.TimeoutSeconds); bad != nil {
		return Script{}, bad
	}
	if s.Requirements, bad = requirements(offer, r.Data.Requirements); bad != nil {
		return Script{}, bad
	}
	if p.c.PrivateIndex != nil && offer.Requirements == "" { // a runtime's own requirements are the operator's
		s.PrivateIndex = p.c.PrivateIndex(r.Tenant)
	}
	s.RuntimeHash = runtimeHash(s)
	s.EnvHash = envHash(s, p.c.Index)
	s.Hash = HashOf(s)
	return s, nil
}

func (p *Policy) runtime(tenant, name string, now time.Time) (Offer, *Error) {
	const field = "data.runtime"
	if name == "" {
		name = p.c.DefaultRuntime
	}
	catalog := p.runtimes.Load()
	o, ok := catalog.Find(name)
	ok = ok && o.offeredTo(tenant)
	names := func() string { return strings.Join(catalog.For(tenant).Names(now, p.c.AllowRetired), ", ") }
	if !ok {
		return Offer{}, refuse(UnknownRuntime, field, "%s is %s, which is not offered: use one of %s.", field, show(name), names())
	}
	if o.Retired(now) && !p.c.AllowRetired {
		return o, refuse(RetiredRuntime, field, "%s is %s, which Lambda retired on %s: use one of %s.", field, name, o.Deprecated.Format(time.DateOnly), names())
	}
	return o, nil
}

// warning is the sentence about a runtime that is deprecated and taken
// nevertheless, or "".
func (p *Policy) warning(s Script, now time.Time) string {
	catalog := p.runtimes.Load()
	o, ok := catalog.Find(s.Runtime.Name)
	if !ok || !o.Retired(now) {
		return ""
	}
	ends := "Lambda will make no new functions with it"
	if !o.CreateBlocked.IsZero() {
		ends = "Lambda makes no new functions with it from " + o.CreateBlocked.Format(time.DateOnly) + " on"
	}
	return fmt.Sprintf("The runtime %s is deprecated: it has had no security fixes since %s, and %s. Set data.runtime to one of %s.",
		o.Name, o.Deprecated.Format(time.DateOnly), ends, strings.Join(catalog.For(s.Tenant).Names(now, false), ", "))
}

func (p *Policy) timeout(seconds int) (int, *Error) {
	if seconds == 0 {
		return p.c.DefaultTimeoutSeconds, nil
	}
	if seconds > p.c.MaxTimeoutSeconds {
		return 0, refuse(InvalidTimeout, "data.timeout_seconds", "data.timeout_seconds is %d: use 1 to %d.", seconds, p.c.MaxTimeoutSeconds)
	}
	return seconds, nil
}

func (p *Policy) memoryMB(tenant string) int {
	if p.c.TenantMemoryMB != nil {
		if mb := p.c.TenantMemoryMB(tenant); mb != 0 {
			return mb
		}
	}
	return p.c.MemoryMB
}

// requirements returns the runtime's own requirements or the request's, both
// normalised. A request for a runtime that has its own may add none.
func requirements(o Offer, text string) (string, *Error) {
	const field = requirementsField
	if len(text) > MaxRequirementsBytes {
		return "", refuse(InvalidRequirement, field, "%s has %d bytes: use at most %d.", field, len(text), MaxRequirementsBytes)
	}
	own, bad := NormalizeRequirements(text)
	if bad != nil {
		return "", bad
	}
	if own != "" && o.Requirements != "" {
		return "", refuse(InvalidRequirement, field, "%s is set, but the runtime %s has its own requirements and takes no others: leave it out, or use a Python runtime.", field, o.Name)
	}
	return own + o.Requirements, nil
}
